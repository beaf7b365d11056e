"""Which folder does a stream's route follow? A copy of its own, because people change the other one.

Spark reads a Parquet file again with each batch, and what a run began is finished by the tables that it began with: neither
may meet a file that has changed since. So the folder is copied when the process starts, and once more, with the reference
tables of now, for each new version of them. A version that is not valid is not taken. The rest of the folder (`stream.yaml`,
schema, suite) is read when the process starts, and only then.
"""

from __future__ import annotations

import csv
import logging
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.facts import ReferencesLoaded
from controlplane.contract.folders import StreamInvalidError, load_stream
from controlplane.contract.valid import reference_columns
from pipeline.reason import reason_of
from pipeline.references.fingerprint import fingerprint_of, used_files
from pipeline.references.settling import Seen, Settling, seen
from pipeline.references.versions import Version, keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

_log = logging.getLogger(__name__)


class ReferencesRefusedError(Exception):
    """A version of the reference tables that route does not take: why, in a sentence."""


class _WrittenMeanwhileError(Exception):
    """The tables have changed while they were read."""


class Followed:
    """What one stream's route follows: `stream`, whose folder nobody else writes.

    Args:
        edited: the stream as people edit it.
        scratch: where the copies go.
        kept: `<data>/references`, where every version taken stays.

    Raises:
        StreamInvalidError: if the folder has mistakes by now.
        OSError: if it cannot be copied.
    """

    def __init__(self, edited: StreamDefinition, scratch: Path, kept: Path) -> None:
        self._edited, self._kept = edited, kept
        self._root = scratch.resolve() / f"{edited.name}.followed"
        shutil.rmtree(self._root, ignore_errors=True)
        self._settling = Settling(seen(edited))
        self.stream = load_stream(self._copied(edited.folder))
        self._version = self._keep(self.stream)
        self._refused: str | None = None

    def look(self, accepts: Callable[[StreamDefinition], None]) -> bool:
        """Look at the reference tables once; True when `stream` has become another, which a query has to start with.

        Args:
            accepts: does what route will do with a new version; raises `ReferencesRefusedError` when it cannot be
                done, and anything else when that is not known now: then the next look asks again.
        """
        now = seen(self._edited)
        if not self._settling.has_settled(now):
            return False
        before = self.stream
        try:
            self._take(self._new(accepts), now)
        except _WrittenMeanwhileError:
            return False
        except ReferencesRefusedError as error:
            if seen(self._edited) != now:
                return False
            self._refused = str(error)
            _log.warning("%s: new reference tables are refused: %s", before.name, error)
            self.forget_others()
        self._settling.judge(now)
        return self.stream is not before

    def _take(self, stream: StreamDefinition, now: Seen) -> None:
        if seen(self._edited) != now:
            raise _WrittenMeanwhileError
        if stream is not self.stream:
            try:
                self._version = self._keep(stream)
            except OSError as error:
                raise ReferencesRefusedError(f"they cannot be kept: {error}") from error
        self.stream, self._refused = stream, None

    def forget_others(self) -> None:
        """Delete the copies that no query reads any more."""
        for each in self._root.iterdir():
            if each != self.stream.folder.parent:
                shutil.rmtree(each, ignore_errors=True)

    def fact(self) -> ReferencesLoaded | None:
        """Which version is followed; None for a stream without reference tables."""
        if self._version is None:
            return None
        return ReferencesLoaded(
            at=datetime.now(UTC),
            stream=self.stream.name,
            fingerprint=self._version.fingerprint,
            since=self._version.since,
            rows={name: table.rows for name, table in self._version.tables.items()},
            refused=self._refused,
        )

    def _new(self, accepts: Callable[[StreamDefinition], None]) -> StreamDefinition:
        """The stream with the tables of now: itself when they are those that it has."""
        try:
            folder = self._copied(self.stream.folder)
            if folder == self.stream.folder:
                return self.stream
            stream = load_stream(folder)
        except StreamInvalidError as error:
            raise ReferencesRefusedError("; ".join(map(str, error.problems))) from error
        except (OSError, ValueError, csv.Error) as error:
            raise ReferencesRefusedError(reason_of(error)) from error
        for misfit in _key_misfits(self.stream, stream):
            raise ReferencesRefusedError(misfit)
        accepts(stream)
        return stream

    def _copied(self, base: Path) -> Path:
        """A copy of a folder with the reference tables of now.

        Its path names their fingerprint: what was once read of a path (`reference_columns`) stays true.
        """
        partial = self._root / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        copy = partial / self._edited.name
        shutil.copytree(base, copy)
        stream = self._edited.model_copy(update={"folder": copy})
        for file in used_files(stream).values():
            file.unlink()
        for file in used_files(self._edited).values():
            shutil.copy2(file, copy / "reference")
        whole = self._root / fingerprint_of(stream)
        if whole.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(whole)
        return whole / self._edited.name

    def _keep(self, stream: StreamDefinition) -> Version | None:
        return keep(self._kept, stream, datetime.now(UTC)) if stream.enrich else None


def _key_misfits(before: StreamDefinition, after: StreamDefinition) -> Iterator[str]:
    """Join keys whose type has changed: events could not be compared with them any more, and the query would fail."""
    for join in after.enrich:
        file = after.reference_file(join.reference)
        old, new = reference_columns(before.reference_file(join.reference)), reference_columns(file)
        for column in join.on.values():
            if old[column] != new[column]:
                yield (
                    f"reference/{file.name}: {column}: a join key was {old[column]} and is {new[column]}; "
                    "write its values as before, or restart route"
                )
