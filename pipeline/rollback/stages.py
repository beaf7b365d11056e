"""What does each stage of a rollback do? Once, or again after a crash, with the same end.

What a stage has done is read from where it did it: a table's log names the operation that rolled it back, a checkpoint that was set
aside is not there any more, ClickHouse says which version it has. Nothing is remembered that could be lost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import clickhouse_connect

from controlplane.contract.names import DIVERTED, Hop, lake_table, topic
from pipeline.kafka import consumer, watermarks
from pipeline.lake.checkpoint import files_at
from pipeline.lake.held import held_in
from pipeline.lake.holds import HeldByOtherError, HoldKind, NotHeldError, holds_of
from pipeline.lake.lineage import NOTHING, is_made_of, origin, with_rollback
from pipeline.lake.offsets import user_metadata
from pipeline.operate.kind import RefusedError, RestsError
from pipeline.publish.publish import Publisher
from pipeline.rollback.commit import commit_content_of
from pipeline.rollback.files import Versions
from pipeline.rollback.logs import Done, Log, read_log
from pipeline.rollback.look import EVENTS, refuse_without_kafka
from pipeline.tables.cursor import Cursor
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from controlplane.contract.operations import StagePlanned
    from pipeline.operate.kind import Work

_ANSWERS_WITHIN = timedelta(seconds=300)
"""A micro-batch may take long; a lake that is down is started again by its supervisor."""
_BEATS_AT_MOST = 5


def hold(work: Work, _: StagePlanned) -> Mapping[str, JsonValue]:
    """Wait until lake writes nothing of the stream any more."""
    holds = holds_of(work.settings, work.operation.stream, work.session)
    try:
        wanted = holds.place(work.operation.id, HoldKind.APPENDS)
        work.log(f"waits until lake lets go of {work.operation.stream}")
        held = holds.wait(wanted, _ANSWERS_WITHIN, work.check)
    except (HeldByOtherError, NotHeldError) as error:
        raise RefusedError(str(error)) from error
    return {"held_by": held.process, "held_at": held.at.isoformat()}


def restore(work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:
    """One table; in one commit, which says what it goes on from."""
    table, to = str(stage.given["table"]), int(cast("int", stage.given["version"]))
    path = lake_table(work.settings.lake_root, work.operation.stream, table)
    done = roll_back(work, table, path, to, work.operation.id)
    return {f"{table}_version": done.version, f"{table}_before": done.before}


def roll_back(work: Work, table: str, path: str, to: int, operation: str) -> Done:
    """Have a table the content of a version, or of none. A second time changes nothing."""
    log = read_log(path)
    if log is None:
        raise RefusedError(f"{path} is gone")
    if (done := log.done_by(operation)) is not None:
        return done
    if to == log.newest:
        return Done(to, to)
    commit_content_of(path, to, with_rollback(_goes_on_from(work, table, log, to), operation, to), work.session)
    found = read_log(path)
    done = None if found is None else found.done_by(operation)
    if done is None:
        raise RuntimeError(f"{path} was restored to version {to}, and no commit says so")
    return done


def _goes_on_from(work: Work, table: str, log: Log, to: int) -> str:
    """What the commit says: the source offsets that it holds, or how far it has followed the events."""
    name = work.operation.stream
    if table in (EVENTS, DIVERTED):
        return user_metadata(name, topic(name, Hop.VALID), (to >= 0 and log.ranges_at(to)) or {})
    events = read_log(lake_table(work.settings.lake_root, name))
    cursor = log.cursor_at(to) if to >= 0 else None
    if cursor is None or events is None:
        return Cursor(_definition(log), NOTHING).written()
    later = (each for at, each in log.cursors.items() if at > to)
    changed = {period for each in later for period in each.periods}
    seen = origin(events.said, cursor.events_version)
    return replace(cursor, events_version=seen, periods=tuple(sorted(changed))).written()


def _definition(log: Log) -> str:
    newest = log.cursor_at(log.newest)
    return "" if newest is None else newest.definition


def checkpoint(work: Work, _: StagePlanned) -> Mapping[str, JsonValue]:
    """A new checkpoint is a new transaction id: with the old one Delta would skip what it has seen (delta-io/delta #1813)."""
    root = f"{work.settings.checkpoint_root.rstrip('/')}/lake/{work.operation.stream}"
    files = files_at(root, work.session)
    if files.read("metadata") is None and not files.numbers("offsets"):
        return {"checkpoint": "there was none, or it was set aside before"}
    at = work.operation.confirmed_at or work.operation.at
    return {"checkpoint": files.set_aside(f"aside-{at:%Y%m%dT%H%M%S}")}


def follow(work: Work, _: StagePlanned) -> Mapping[str, JsonValue]:
    """Tables that are not quite as far as the events, and those that were emptied, follow; by lake's own code."""
    following = Following(work.session(), work.stream(), work.settings.lake_root)
    done: dict[str, JsonValue] = {}
    for beat in range(_BEATS_AT_MOST):  # a table that is computed anew, or meets maintenance, needs another
        facts: list[Any] = []
        for fact in following.beat():
            work.check()
            work.report(fact)
            facts.append(fact)
        done |= {f"{each.table}_version": each.version for each in facts}
        if beat and not facts:
            break
    return done


def clickhouse(work: Work, _: StagePlanned) -> Mapping[str, JsonValue]:
    """Each rollup's other copy is brought to that version, then one row names it: a reader has the one or the other whole.

    Without the gates: these windows were let through when they were published first.
    """
    return {"published": publish(work)}


def publish(work: Work) -> dict[str, JsonValue]:
    """Have ClickHouse what the rollups have now; rollup -> version, of those that it did not have yet."""
    stream = work.stream()
    client = clickhouse_connect.get_client(dsn=work.settings.clickhouse, autogenerate_session_id=False)
    published: dict[str, JsonValue] = {}
    try:
        for key in stream.rollups:
            work.check()
            fact = Publisher(client, stream, key, work.settings.lake_root).publish()
            if fact is not None:
                work.report(fact)
                published[key] = fact.lake_version
    finally:
        client.close()
    return published


def check(work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:
    """Is each table what was planned, and would lake go on from there?"""
    name, root = work.operation.stream, work.settings.lake_root
    rows: dict[str, JsonValue] = {}
    for table, to in cast("dict[str, int]", stage.given["tables"]).items():
        path = lake_table(root, name, table)
        log = read_log(path)
        if log is None:
            raise RuntimeError(f"{path} is gone")
        done = log.done_by(work.operation.id)
        at = to if done is None else done.version
        if not is_made_of(log.said, log.newest, at):
            raise RuntimeError(
                f"{path} is not made of its version {at}, and no commit is of operation {work.operation.id}"
            )
        versions = Versions(path)
        planned = versions.rows(to) if to >= 0 else 0
        if versions.rows(at) != planned:
            raise RuntimeError(f"{path} has {versions.rows(at)} rows at version {at}, not {planned}")
        rows[table] = versions.rows(versions.now)
    _, ends = held_in(lake_table(root, name), lake_table(root, name, DIVERTED))
    return {"rows": rows, "goes_on_from": {str(each): until for each, until in (ends or {}).items()}}


def rest(work: Work, _: StagePlanned) -> Mapping[str, JsonValue]:
    """Until an operator says so."""
    raise RestsError(f"{work.operation.stream} is held until an operator resumes {work.operation.id}")


def release(work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:
    """Lake goes on, if Kafka has what it goes on from."""
    name = work.operation.stream
    ends = {int(each): int(until) for each, until in cast("dict[str, int]", stage.given["ends"]).items()}
    refuse_without_kafka(ends, lows(work.settings.kafka, name, ends), name)
    holds_of(work.settings, name, work.session).release(work.operation.id)
    return {}


def lows(kafka: str, stream: str, partitions: Mapping[int, int]) -> dict[int, int]:
    """Partition of the valid topic -> the first offset that Kafka still has.

    Raises:
        KafkaException: if it does not answer.
    """
    client = consumer(kafka, "tidegate-rollback")
    try:
        return {each: low for each, (low, _) in watermarks(client, topic(stream, Hop.VALID), partitions).items()}
    finally:
        client.close()
