"""A small disk of its own for a part, so that it can be filled without harm to anything else: a tmpfs."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 (a field of a dataclass)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIZE = "1g"
_CHUNK = 4 * 2**20


@dataclass(frozen=True)
class Disk:
    """A folder, and whether it is a disk of its own."""

    path: Path
    is_small: bool

    @contextmanager
    def filled(self) -> Iterator[Callable[[], None]]:
        """Not a byte is left inside the block; call what is yielded again and again, for what others set free.

        Raises:
            RuntimeError: if this folder is on the machine's own disk.
        """
        if not self.is_small:
            raise RuntimeError(f"{self.path} is no disk of its own: filling it would fill the machine's")
        filler = self.path / "filler"
        try:
            _fill(filler)
            yield lambda: _fill(filler)
        finally:
            filler.unlink(missing_ok=True)


def _fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for size in (_CHUNK, 4096, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


@contextmanager
def small_disk(path: Path) -> Iterator[Disk]:
    """A small disk mounted at a folder, or, where this user may not mount, the plain folder."""
    path.mkdir(parents=True, exist_ok=True)
    mounted = os.geteuid() == 0 and _ran("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(path))
    try:
        yield Disk(path, mounted)
    finally:
        if mounted and not _ran("umount", str(path)):
            _ran("umount", "--lazy", str(path))


def _ran(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
