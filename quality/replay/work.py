"""How is a piece of work planned and run? One thread a stream, one piece after the other: so two never do the same record.

A plan writes down the ids that the selection fits now and judges every one. A run goes through the same ids again, in
transactions of some hundred records, judges each once more (rules may have changed), and leaves out what has a marker. It can
be killed anywhere: what is in the file says what was asked for, the markers say what is done.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from confluent_kafka import KafkaException
from deltalake.exceptions import DeltaError

from controlplane.contract.folders import StreamInvalidError
from controlplane.contract.replays import (
    MOST_RECORDS,
    Action,
    Judged,
    Marker,
    Status,
    Work,
    WorkAsked,
    WorkState,
)
from quality.replay.found import Found
from quality.replay.pace import Pace
from quality.replay.prepare import prepared
from quality.replay.revalidate import RuleUnknownError
from quality.replay.today import today
from quality.replay.writer import Outgoing
from quality.schemas import RegistryAwayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from quality.inbox.inbox import Inbox
    from quality.replay.kept import WorkFiles
    from quality.replay.prepare import Prepared, Rules
    from quality.replay.today import Today
    from quality.replay.writer import ReplayWriter

JUDGED_AT_ONCE = 5000
_TRIES = 5
_AGAIN_AFTER_S = 2.0
_SAVED_EVERY_S = 1.0
_OPEN = (WorkState.PLANNING, WorkState.RUNNING)
_log = logging.getLogger(__name__)


class WorkRefusedError(Exception):
    """Work cannot be done as asked; says why."""


class Desk:
    """One stream's work: asked for by requests, done by a thread of its own."""

    def __init__(
        self,
        inbox: Inbox,
        writer: ReplayWriter,
        files: WorkFiles,
        rules: Rules,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.inbox, self._writer, self._files, self._rules, self._now = inbox, writer, files, rules, now
        self.works: dict[str, Work] = {}
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._cancelled: set[str] = set()
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=f"replays-{inbox.stream.name}", daemon=True)

    def start(self, works: Sequence[Work]) -> None:
        """Begin, with what an earlier process has left."""
        self.works = {each.id: each for each in works}
        for each in works:
            if each.state in _OPEN:
                self._queue.put(each.id)
        self._thread.start()

    def close(self) -> None:
        """Stop after the transaction that is open; the next process goes on."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(30)

    def ask(self, asked: WorkAsked) -> Work:
        """Have work planned."""
        at = self._now()
        work = Work(
            id=uuid4().hex[:12],
            stream=self.inbox.stream.name,
            asked=asked,
            state=WorkState.PLANNING,
            at=at,
            changed_at=at,
        )
        self._files.save(work)
        self.works[work.id] = work
        self._queue.put(work.id)
        return work

    def run(self, work_id: str, rate: float | None) -> Work:
        """Have what was planned done.

        Raises:
            WorkRefusedError: if it is not planned, or has run already.
        """
        work = self.works[work_id]
        if work.state not in (WorkState.PLANNED, WorkState.CANCELLED, WorkState.FAILED):
            raise WorkRefusedError(f"replay {work_id} is {work.state}; only one that is planned can be run")
        if work.planned_at is None:
            raise WorkRefusedError(f"replay {work_id} was not planned to the end; plan it again")
        self._cancelled.discard(work_id)
        changed = self._change(work_id, state=WorkState.RUNNING, rate=rate, reason=None)
        self._queue.put(work_id)
        return changed

    def cancel(self, work_id: str) -> Work:
        """Do no more of it; what was done stays done.

        Raises:
            WorkRefusedError: if it has ended.
        """
        work = self.works[work_id]
        if work.state in (WorkState.DONE, WorkState.CANCELLED, WorkState.FAILED):
            raise WorkRefusedError(f"replay {work_id} is {work.state} already")
        self._cancelled.add(work_id)
        if work.state is WorkState.PLANNED:
            return self._change(work_id, state=WorkState.CANCELLED)
        return work

    def settle(self, ids: Sequence[str], operation: str, by: str) -> int:
        """Mark records as replayed that came in another way, by an operation; those that have a marker keep it.

        Returns:
            How many were marked.

        Raises:
            KafkaException, TimeoutError: if nothing was; the same can be asked again.
        """
        marker = Marker(replay=operation, action=Status.REPLAYED, at=self._now(), by=by, why="backfill")
        with self._writing:
            if not any(each.state is WorkState.RUNNING for each in self.works.values()):
                self._writer.begin()
            return self._writer.write([Outgoing(each, b"", None) for each in ids], lambda *_: marker)

    def _work(self) -> None:
        while (work_id := self._queue.get()) is not None and not self._closing.is_set():
            try:
                self._try(work_id)
            except Exception as error:  # noqa: BLE001 (one piece of work must not end the thread of all)
                _log.exception("replay %s has failed", work_id)
                self._change(work_id, state=WorkState.FAILED, reason=f"{type(error).__name__}: {error}"[:300])

    def _try(self, work_id: str) -> None:
        step = self._plan if self.works[work_id].state is WorkState.PLANNING else self._run
        for attempt in range(1, _TRIES + 1):
            try:
                return step(work_id)
            except (StreamInvalidError, RuleUnknownError, WorkRefusedError) as error:
                reason = " ".join(str(error).split())[:300]
                self._change(work_id, state=WorkState.FAILED, reason=reason)
                return None
            except (RegistryAwayError, KafkaException, DeltaError, OSError) as error:
                _log.warning("replay %s, attempt %d: %s", work_id, attempt, error)
                reason = str(error).splitlines()[0][:300]
                if attempt == _TRIES:
                    self._change(work_id, state=WorkState.FAILED, reason=f"given up after {_TRIES} attempts: {reason}")
                    return None
                self._change(work_id, reason=f"waits, then tries again: {reason}")
                if self._closing.wait(_AGAIN_AFTER_S * attempt):
                    return None
        return None

    def _plan(self, work_id: str) -> None:
        work, began = self.works[work_id], time.monotonic()
        ids = self.inbox.chosen(work.asked.selection)["id"].to_pylist()
        if len(ids) > MOST_RECORDS:
            raise WorkRefusedError(f"{len(ids):,} records are chosen, {MOST_RECORDS:,} at most; choose a shorter time")
        now_counts = today(self.inbox.stream, self.inbox.schemas)
        self._files.save_ids(work_id, ids)
        self._change(work_id, records=len(ids), suite=now_counts.suite)
        open_ids = self.inbox.markers.waiting(ids)
        found = Found(done=len(ids) - len(open_ids))
        if work.asked.action is Action.DISCARD:
            found.ready(len(open_ids))
        else:
            for each in self._prepared(open_ids, work.asked, now_counts):
                found.add(each)
                if self._stopped(work_id):
                    return self._cancel(work_id)
                if found.looked_at % JUDGED_AT_ONCE == 0:
                    self._change(work_id, save=False, looked_at=found.looked_at)
        self._change(
            work_id,
            state=WorkState.PLANNED,
            planned_at=self._now(),
            looked_at=found.looked_at,
            counts=dict(found.counts),
            broken=dict(found.broken.most_common(50)),
            examples=tuple(found.examples),
            took_s=round(time.monotonic() - began, 2),
            reason=None,
        )
        return None

    def _run(self, work_id: str) -> None:
        work, began, ids = self.works[work_id], time.monotonic(), self._files.ids(work_id)
        with self._writing:
            self._writer.begin()
        done = self.inbox.markers.done_by(work_id)
        self._change(work_id, done=done, reason=None)
        pace, skipped = Pace(work.rate), 0
        for chunk in _chunks(self._outgoing(work, self.inbox.markers.waiting(ids)), pace.chunk):
            outgoing = [each for each in chunk if each is not None]
            skipped += len(chunk) - len(outgoing)
            with self._writing:
                written = self._writer.write(outgoing, lambda record, raw: self._marker(work, record, raw))
            done += written
            self._change(work_id, save=False, done=done, skipped=skipped)
            if self._stopped(work_id) or pace.wait(written, lambda: self._stopped(work_id)):
                return self._cancel(work_id)
        with self._writing:
            self._writer.end()
        took_s = round(time.monotonic() - began, 2)
        self._change(work_id, state=WorkState.DONE, done=done, skipped=len(ids) - done, took_s=took_s, reason=None)
        return None

    def _outgoing(self, work: Work, ids: Sequence[str]) -> Iterator[Outgoing | None]:
        """What to send of each record; None for one that stays."""
        if work.asked.action is Action.DISCARD:
            yield from (Outgoing(each, b"", None) for each in ids)
            return
        now_counts = today(self.inbox.stream, self.inbox.schemas)
        for each in self._prepared(ids, work.asked, now_counts):
            is_sent = each.judged is Judged.READY or (each.judged is Judged.BROKEN and work.asked.even_if_broken)
            yield Outgoing(each.id, each.key, each.value) if is_sent and each.value is not None else None

    def _prepared(self, ids: Sequence[str], asked: WorkAsked, now_counts: Today) -> Iterator[Prepared]:
        for piece in self.inbox.payloads(ids):
            for start in range(0, piece.num_rows, JUDGED_AT_ONCE):
                part = piece.slice(start, JUDGED_AT_ONCE)
                records = list(zip(part["id"].to_pylist(), part["value"].to_pylist(), strict=True))
                yield from prepared(
                    records, asked.steps, now_counts, self.inbox.schemas.of_id, self._rules, self._now()
                )

    def _marker(self, work: Work, record: str, raw: str | None) -> Marker:  # noqa: ARG002 (the writer's port)
        is_discard = work.asked.action is Action.DISCARD
        return Marker(
            replay=work.id,
            action=Status.DISCARDED if is_discard else Status.REPLAYED,
            raw=raw,
            at=self._now(),
            by=work.asked.by,
            why=work.asked.why,
        )

    def _stopped(self, work_id: str) -> bool:
        return work_id in self._cancelled or self._closing.is_set()

    def _cancel(self, work_id: str) -> None:
        """A process that ends leaves its work open: the next one goes on."""
        if work_id in self._cancelled:
            self._cancelled.discard(work_id)
            self._change(work_id, state=WorkState.CANCELLED)

    def _change(self, work_id: str, *, save: bool = True, **values: Any) -> Work:  # noqa: ANN401 (fields of Work)
        changed = self.works[work_id].model_copy(update={**values, "changed_at": self._now()})
        if save:
            self._files.save(changed)
        self.works[work_id] = changed
        return changed


def _chunks(items: Iterator[Outgoing | None], size: int) -> Iterator[list[Outgoing | None]]:
    while chunk := list(islice(items, size)):
        yield chunk
