"""Where does route read its stream's folder? In copies that nobody else writes.

A path names what is in it, the reference tables and the suite, so what was once read of a path (`reference_columns`) stays true.
"""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from controlplane.contract.folders import SUITE_FILE
from pipeline.references.fingerprint import fingerprint_of, used_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

_DIGITS = 12


class Copies:
    """Of one stream's folder, below `root`, which is emptied first."""

    def __init__(self, root: Path, edited: StreamDefinition) -> None:
        self._root, self._edited = root, edited
        shutil.rmtree(root, ignore_errors=True)

    def with_tables(self, base: Path) -> Path:
        """A copy of a folder with the reference tables of now."""
        return self._copied(base, self._take_tables)

    def with_suite(self, base: Path) -> Path:
        """A copy of a folder with the suite of now."""
        return self._copied(base, lambda copy: shutil.copy2(self._edited.today / SUITE_FILE, copy / SUITE_FILE))

    def forget_all_but(self, folder: Path) -> None:
        """Delete the copies that no query reads any more."""
        for each in self._root.iterdir():
            if each != folder.parent:
                shutil.rmtree(each, ignore_errors=True)

    def _take_tables(self, copy: Path) -> None:
        for file in used_files(self._in(copy)).values():
            file.unlink()
        for file in used_files(self._edited.now).values():
            shutil.copy2(file, copy / "reference")

    def _copied(self, base: Path, taking: Callable[[Path], object]) -> Path:
        partial = self._root / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        copy = partial / self._edited.name
        shutil.copytree(base, copy)
        taking(copy)
        suite = hashlib.sha256((copy / SUITE_FILE).read_bytes()).hexdigest()[:_DIGITS]
        whole = self._root / f"{fingerprint_of(self._in(copy))}-{suite}"
        if whole.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(whole)
        return whole / self._edited.name

    def _in(self, folder: Path) -> StreamDefinition:
        return self._edited.model_copy(update={"folder": folder})
