"""How does another folder become today's, whoever is killed meanwhile? By one rename of a link.

`<data>/streams/<name>` is a link to `.versions/<operation>/<name>`, so it is the one or the other, never half of one. What it
replaced is copied beside it first, so that it can be put back. Where no link is, the shipped folder, or one of TIDEGATE_STREAMS, is
today's.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.route.definition import digest_of

if TYPE_CHECKING:
    from pathlib import Path

_VERSIONS = ".versions"
_BEFORE = "-before"


@dataclass(frozen=True)
class Promoted:
    """Folders of one stream below `<data>/streams`."""

    root: Path
    stream: str

    def version(self, operation: str) -> Path:
        """What an operation has put in place."""
        return self.root / _VERSIONS / operation / self.stream

    def before(self, operation: str) -> Path:
        """What it replaced."""
        return self.root / _VERSIONS / f"{operation}{_BEFORE}" / self.stream

    def keep(self, folder: Path, kept: Path) -> None:
        """Copy a folder; again after a crash, with the same end.

        Raises:
            OSError: if it cannot be copied.
        """
        if kept.is_dir() and digest_of(kept) == digest_of(folder):
            return
        partial = kept.parent.with_name(f"{kept.parent.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(kept.parent, ignore_errors=True)
        shutil.copytree(folder, partial / self.stream)
        partial.rename(kept.parent)

    def place(self, version: Path) -> None:
        """Make a kept folder today's.

        Raises:
            OSError: if it cannot be.
        """
        link, partial = self.root / self.stream, self.root / f".{self.stream}.part"
        partial.unlink(missing_ok=True)
        partial.symlink_to(os.path.relpath(version, self.root))
        partial.replace(link)
