"""How do the built days take the place of those that are there, in one commit, while lake might append to them?

The files are there already (`pipeline/backfill/storage.py`); the commit only says so: it adds them, and removes those that the
replaced days have now. It is made for the version that was looked at and fails when somebody else has committed since, such as
maintenance; then everything is looked at again. What lake has appended to these days after they were built is an increment: it is
built as well. The commit carries a transaction of its own, so it is there once, whoever is killed when; and it says that it is a
backfill's, so who follows the events leaves it out: they are no news.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION
from pipeline.backfill.build import batch_of
from pipeline.backfill.look import events_at
from pipeline.lake.commits import history_of
from pipeline.lake.lineage import said_in
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.contract.streams import StreamDefinition
    from pipeline.backfill.look import DataFile, EventsAt
    from pipeline.backfill.storage import Built, Shadow

EVENTS = "events"
_TRIES = 6
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Swap:
    """What one commit does."""

    added: Sequence[Built]
    removed: Sequence[DataFile]
    says: str
    """Its `userMetadata`."""


def swapped_at(folder: str, operation: str) -> int | None:
    """The version that a backfill's commit has made; None when there is none."""
    table = DeltaTable(folder)
    if table.transaction_version(batch_of(operation)) is None:
        return None
    said = {int(each["version"]): said_in(each.get("userMetadata")) for each in history_of(table)}
    return max((at for at, each in said.items() if each.backfill == operation), default=table.version())


def swap(
    folder: str, shadow: Shadow, stream: StreamDefinition, operation: str, wanted: Callable[[EventsAt], Swap]
) -> int:
    """Commit, once.

    Args:
        folder: of the events table.
        shadow: where the added files are.
        stream: whose.
        operation: whose commit it is.
        wanted: what to commit, given the table as it is; asked again when that has changed meanwhile.

    Returns:
        The version that it has made.

    Raises:
        RefusedError: if others commit all the time.
    """
    if (version := swapped_at(folder, operation)) is not None:
        return version
    for _ in range(_TRIES):
        now = events_at(folder)
        found = wanted(now)
        for each in found.added:
            shadow.place(each, EVENTS)
        try:
            _commit(folder, now, found, _added(found.added, shadow, stream), operation)
        except CommitFailedError as error:
            _log.info("%s: somebody else has committed; looking again (%s)", folder, str(error).splitlines()[0])
            continue
        return now.version + 1
    raise RefusedError(f"{folder}: somebody else has committed {_TRIES} times in between; stop maintenance, and resume")


def _added(files: Sequence[Built], shadow: Shadow, stream: StreamDefinition) -> list[AddAction]:
    columns = (SOURCE_PARTITION, SOURCE_OFFSET, stream.event_time.field, *stream.maintenance.cluster_by)
    return [
        AddAction(
            path=each.target,
            size=each.bytes,
            partition_values={EVENT_DATE: each.day},
            modification_time=round(time.time() * 1000),
            data_change=True,
            stats=shadow.stats(each, dict.fromkeys(columns)),
        )
        for each in files
    ]


def _commit(folder: str, now: EventsAt, found: Swap, added: Sequence[AddAction], operation: str) -> None:
    table = DeltaTable(folder, version=now.version)
    at = round(datetime.now(UTC).timestamp() * 1000)
    removed = [RemoveAction(each.path, True, at, each.bytes, {EVENT_DATE: each.day}) for each in found.removed]  # noqa: FBT003 (theirs)
    table.create_write_transaction(
        [*added, *removed],
        "append",
        table.schema(),
        [EVENT_DATE],
        commit_properties=CommitProperties(
            custom_metadata={"userMetadata": found.says},
            max_commit_retries=0,
            app_transactions=[Transaction(batch_of(operation), 0)],
        ),
        # Spark makes the checkpoints of this table, and forgets its log: one of another kind would only be in its way.
        post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
    )
