"""What did the reference tables hold when a row was enriched? Every version that route has taken is kept, by its fingerprint.

`<data>/references/<stream>/<fingerprint>/` holds the files as they were, and `version.json`.
"""

from __future__ import annotations

import shutil
from datetime import datetime  # noqa: TC003 (pydantic reads it)
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from controlplane.contract.frozen import Frozen
from pipeline.references.differences import rows_of
from pipeline.references.fingerprint import fingerprint_of, used_files

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

FOLDER = "references"
"""In the data folder."""
_ABOUT = "version.json"
_PARTIAL = ".part"


class KeptTable(Frozen):
    """One table of a version."""

    file: str
    rows: int
    key: tuple[str, ...]
    """Columns that a join reads it by; their values are unique together."""


class Version(Frozen):
    """All tables of a stream, as they were."""

    fingerprint: str
    taken: tuple[AwareDatetime, ...] = Field(min_length=1)
    """When route began with it; more than once when it came back."""
    tables: dict[str, KeptTable]

    @property
    def since(self) -> datetime:
        """When it was taken last."""
        return self.taken[-1]


def keep(root: Path, stream: StreamDefinition, now: datetime) -> Version:
    """Keep the tables that a stream has, unless they are the ones that were kept last.

    Args:
        root: `<data>/references`.
        stream: whose folder nobody changes meanwhile.
        now: UTC.

    Raises:
        OSError: if they cannot be written.
    """
    fingerprint = fingerprint_of(stream)
    before = versions(root, stream.name)
    if before and before[-1].fingerprint == fingerprint:
        return before[-1]
    earlier = next((each.taken for each in before if each.fingerprint == fingerprint), ())
    version = Version(fingerprint=fingerprint, taken=(*earlier, now), tables=_tables(stream))
    folder = root / stream.name / fingerprint
    partial = folder.with_suffix(_PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in used_files(stream).values():
        shutil.copy2(file, partial)
    (partial / _ABOUT).write_text(version.model_dump_json(indent=2))
    if folder.exists():  # its files are the same: only when it was taken is new
        (partial / _ABOUT).replace(folder / _ABOUT)
        shutil.rmtree(partial)
    else:
        partial.rename(folder)
    return version


def _tables(stream: StreamDefinition) -> dict[str, KeptTable]:
    keys = {join.reference: tuple(join.on.values()) for join in reversed(stream.enrich)}
    return {
        name: KeptTable(file=file.name, rows=len(rows_of(file)), key=keys[name])
        for name, file in used_files(stream).items()
    }


def versions(root: Path, stream: str) -> list[Version]:
    """Every version that is kept of a stream, the one taken last at the end."""
    files = (file for file in (root / stream).glob(f"*/{_ABOUT}") if file.parent.suffix != _PARTIAL)
    found = (Version.model_validate_json(file.read_text()) for file in files)
    return sorted(found, key=lambda each: each.since)


def table_of(root: Path, stream: str, version: Version, name: str) -> Path:
    """File of a kept table."""
    return root / stream / version.fingerprint / version.tables[name].file


def before(version: Version, of: list[Version]) -> Version | None:
    """The version that was in use when this one was taken last; None for the first."""
    taken = sorted((moment, each.fingerprint) for each in of for moment in each.taken)
    earlier = [fingerprint for moment, fingerprint in taken if moment < version.since]
    return next((each for each in of if earlier and each.fingerprint == earlier[-1]), None)
