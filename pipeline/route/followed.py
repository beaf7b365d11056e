"""Which folder does a stream's route follow? A copy of its own, because people change the other one.

Spark reads a Parquet file again with each batch, and what a run began is finished by the tables and the rules that it began
with: neither may meet a file that has changed since. So the folder is copied when the process starts, and once more for each
new version of the reference tables or of the ingest suite. A version that is not valid is not taken. The rest of the folder
(`stream.yaml`, schema) is read when the process starts, and only then.
"""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.facts import ReferencesLoaded
from controlplane.contract.folders import SUITE_FILE, StreamInvalidError, load_stream
from controlplane.contract.gates import Stage, SuiteFollowed
from controlplane.contract.suites import fingerprint
from controlplane.contract.valid import reference_columns
from pipeline.reason import reason_of
from pipeline.references.settling import Seen, Settling, seen, seen_file
from pipeline.references.versions import Version, keep
from pipeline.route.copies import Copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

    Accepts = Callable[[StreamDefinition], None]
    """Does what route will do with a new version. Raises `RefusedError` when it cannot be done, and anything else when that
    is not known now: then the next look asks again."""

_log = logging.getLogger(__name__)


class RefusedError(Exception):
    """A version of the reference tables or of the suite that route does not take: why, in a sentence."""


class _WrittenMeanwhileError(Exception):
    """The files have changed while they were read."""


@dataclass
class _Watched:
    """A part of the folder that route takes anew."""

    what: str
    look: Callable[[], Seen]
    settling: Settling
    refused: str | None = None


class Followed:
    """What one stream's route follows: `stream`, whose folder nobody else writes.

    Args:
        edited: the stream as people edit it.
        scratch: where the copies go.
        kept: `<data>/references`, where every version of the tables taken stays.

    Raises:
        StreamInvalidError: if the folder has mistakes by now.
        OSError: if it cannot be copied.
    """

    def __init__(self, edited: StreamDefinition, scratch: Path, kept: Path) -> None:
        self._edited, self._kept = edited, kept
        self._copies = Copies(scratch.resolve() / f"{edited.name}.followed", edited)
        self._tables = _watched("reference tables", lambda: seen(edited.now))
        self._suite = _watched("suite", lambda: seen_file(edited.today / SUITE_FILE))
        self.stream = load_stream(self._copies.with_tables(edited.today))
        self._version = self._keep(self.stream)
        self.suite = self._suite_followed(datetime.now(UTC))
        """Which ingest suite is in use; another value only when there is something new to say."""

    def look(self, accepts: Accepts) -> bool:
        """Look at the reference tables once; True when `stream` has become another, which a query has to start with."""
        return self._look(self._tables, lambda: self._with_tables(accepts))

    def look_at_suite(self, accepts: Accepts) -> bool:
        """Look at the suite once; True when `stream` has become another, which a query has to start with."""
        is_new = self._look(self._suite, lambda: self._with_suite(accepts))
        if is_new or self._suite.refused != self.suite.refused:
            self.suite = self._suite_followed(datetime.now(UTC) if is_new else self.suite.since)
        return is_new

    def _look(self, watched: _Watched, new: Callable[[], StreamDefinition]) -> bool:
        now = watched.look()
        if not watched.settling.has_settled(now):
            return False
        before = self.stream
        try:
            self._take(new(), watched, now)
        except _WrittenMeanwhileError:
            return False
        except RefusedError as error:
            if watched.look() != now:
                return False
            watched.refused = str(error)
            _log.warning("%s: a new version of its %s is refused: %s", before.name, watched.what, error)
            self.forget_others()
        watched.settling.judge(now)
        return self.stream is not before

    def _take(self, stream: StreamDefinition, watched: _Watched, now: Seen) -> None:
        if watched.look() != now:
            raise _WrittenMeanwhileError
        if stream is not self.stream:
            try:
                self._version = self._keep(stream)
            except OSError as error:
                raise RefusedError(f"they cannot be kept: {error}") from error
        self.stream, watched.refused = stream, None

    def forget_others(self) -> None:
        """Delete the copies that no query reads any more."""
        self._copies.forget_all_but(self.stream.folder)

    def fact(self) -> ReferencesLoaded | None:
        """Which version of the tables is followed; None for a stream without reference tables."""
        if self._version is None:
            return None
        return ReferencesLoaded(
            at=datetime.now(UTC),
            stream=self.stream.name,
            fingerprint=self._version.fingerprint,
            since=self._version.since,
            rows={name: table.rows for name, table in self._version.tables.items()},
            refused=self._tables.refused,
        )

    def _suite_followed(self, since: datetime) -> SuiteFollowed:
        return SuiteFollowed(
            at=datetime.now(UTC),
            stream=self.stream.name,
            stage=Stage.INGEST,
            suite=self.stream.fingerprint(Stage.INGEST),
            rules=len(self.stream.row_rules),
            since=since,
            refused=self._suite.refused,
        )

    def _with_tables(self, accepts: Accepts) -> StreamDefinition:
        """The stream with the tables of now: itself when they are those that it has."""
        stream = self._loaded(self._copies.with_tables)
        if stream is not self.stream:
            for misfit in _key_misfits(self.stream, stream):
                raise RefusedError(misfit)
            accepts(stream)
        return stream

    def _with_suite(self, accepts: Accepts) -> StreamDefinition:
        """The stream with the ingest suite of now: itself when it is the one that it has, whatever other stages' are like."""
        if self._ingest_suite() == self.stream.fingerprint(Stage.INGEST):
            return self.stream
        stream = self._loaded(self._copies.with_suite)
        if stream is not self.stream:
            accepts(stream)
        return stream

    def _ingest_suite(self) -> str | None:
        """Fingerprint of the ingest suite as it is written now; None when it cannot be read, which loading it will say."""
        try:
            written = json.loads((self._edited.today / SUITE_FILE).read_bytes())
            return fingerprint(written.get(Stage.INGEST, {}))
        except (OSError, ValueError, AttributeError):
            return None

    def _loaded(self, copied: Callable[[Path], Path]) -> StreamDefinition:
        try:
            folder = copied(self.stream.folder)
            return self.stream if folder == self.stream.folder else load_stream(folder)
        except StreamInvalidError as error:
            raise RefusedError("; ".join(map(str, error.problems))) from error
        except (OSError, ValueError, csv.Error) as error:
            raise RefusedError(reason_of(error)) from error

    def _keep(self, stream: StreamDefinition) -> Version | None:
        return keep(self._kept, stream, datetime.now(UTC)) if stream.enrich else None


def _watched(what: str, look: Callable[[], Seen]) -> _Watched:
    return _Watched(what, look, Settling(look()))


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
