"""Is it the writing? A sink that does not take it fast enough, or a table in so many files that a MERGE mostly opens them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.lag import Cause, Suspect
from lag_monitor.why.observed import LEAST, batches_of, covered_s, lasted_s

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from controlplane.contract.facts import EntitiesUpserted, RangeInserted
    from controlplane.contract.spark import StageSeen
    from lag_monitor.why.observed import Batch, Observed

_GOOD_FILE_BYTES = 32 * 2**20
"""A table whose files are as large has as few as it needs."""
_MANY_FILES = 10
"""To open fewer costs less than the MERGE itself, whatever their size (0.1 s of 1.6 s, measured)."""


def sink(observed: Observed) -> Suspect | None:
    """Writing takes the time: the query waits for what it writes to.

    From a batch's first task on, that is the time in which no task runs (something is being committed, or waited for), and of
    tasks that write, the time in which they neither compute nor wait for garbage. What its gate took is the gate's. The pump of
    `live` says itself how long its inserts took.
    """
    if observed.query.part == "live":
        return _inserts(observed)
    if observed.is_realtime:  # its tasks wait for events all the time
        return None
    batches = [batch for batch in observed.staged if batch.told is None or batch.phases.work_s is not None]
    took = sum(batch.took_s for batch in batches)
    if not took:
        return None
    commits = sum(_without_tasks_s(batch, observed) for batch in batches)
    blocked = sum(_blocked_s(stage, observed.now) for batch in batches for stage in batch.stages)
    share = min(1.0, (commits + blocked) / took)
    if share < LEAST:
        return None
    return Suspect(
        cause=Cause.SINK,
        share=share,
        evidence=f"of {took:.1f} s in {batches_of(len(batches))} {commits:.1f} s were at work without a task (commits, and "
        f"what the sink waits for) and {blocked:.1f} s were tasks that wrote and waited.",
        advice=_SINK_ADVICE.get(
            observed.query.part, "Look at what the query writes to: is its disk full, slow or far away?"
        ),
        page=observed.query.spark_page,
        numbers={"batches_s": took, "without_tasks_s": commits, "blocked_s": blocked},
    )


_SINK_ADVICE = {
    "route": "Look at the broker: `tidegate status` for its memory, `tidegate logs kafka` for slow disks and requests.",
    "lake": "Look at the lake's storage (`TIDEGATE_LAKE`): a full or slow disk, or a far bucket; "
    "`tidegate maintain plan` says whether the tables' logs need a checkpoint.",
}


def _without_tasks_s(batch: Batch, observed: Observed) -> float:
    """Work of a batch, from its first task on, in which no stage was there and no gate judged."""
    work_s = (
        batch.took_s if batch.told is None else batch.phases.work_s or 0.0
    )  # an open one begins with its first stage
    judged_s = max(0.0, gate_s(batch, observed) - batch.prepared_s)  # it judges before anything is written
    return max(0.0, work_s - batch.prepared_s - covered_s(batch.stages, observed.now) - judged_s)


def _blocked_s(stage: StageSeen, now: datetime) -> float:
    lasted = lasted_s(stage, now)
    if lasted is None or not stage.run_s or not (stage.output_bytes or stage.output_rows):
        return 0.0
    return lasted * max(0.0, stage.run_s - stage.cpu_s - stage.gc_s) / stage.run_s


def gate_s(batch: Batch, observed: Observed) -> float:
    """What judging a batch took; 0 when nothing was heard of it."""
    named = f"micro-batch {batch.number}"
    return max((gate.took_s or 0.0 for gate in observed.gates if gate.subject == named), default=0.0)


def _inserts(observed: Observed) -> Suspect | None:
    """A report has the inserts since the one before; some are missed, so each counts for its own second."""
    told: Sequence[RangeInserted] = observed.inserts
    if not told:
        return None
    took = sum(each.took_s for each in told)
    share = sum(min(1.0, each.took_s) for each in told) / len(told)
    if share < LEAST:
        return None
    rows, inserts = sum(each.rows for each in told), sum(each.inserts for each in told)
    return Suspect(
        cause=Cause.SINK,
        share=share,
        evidence=f"ClickHouse took {took:.1f} s for {inserts:,} inserts of {rows:,} rows: the pump waited for it {share:.0%} "
        f"of the time.",
        advice="Look at ClickHouse: `tidegate status` for its memory, `tidegate logs clickhouse`; a long query on the page SQL "
        "or many rollups cost each insert.",
        page="/live",
        numbers={"inserts_s": took, "rows": rows, "inserts": inserts},
    )


def small_files(observed: Observed) -> Suspect | None:
    """A MERGE opens and rewrites many files for few rows: its time, less what as many bytes in good files would cost.

    The MERGE runs beside the appends, in the same slots; its share is of the time from one to the next.
    """
    found = [(share, each) for each in observed.upserts if (share := _scattered(each, observed)) >= LEAST]
    if not found:
        return None
    share, worst = max(found, key=lambda each: each[0])
    read, rows = worst.files_read or 0, worst.inserted + worst.updated
    there = "" if worst.files_there is None else f" of {worst.files_there}"
    return Suspect(
        cause=Cause.SMALL_FILES,
        share=share,
        evidence=f"a MERGE into {worst.table} opened {read}{there} files and wrote "
        f"{worst.bytes_written / 2**20:.1f} MiB for {rows:,} rows, {worst.took_s:.1f} s every {_every_s(worst, observed):.0f} s.",
        advice=f"Run `tidegate maintain run --stream {worst.stream}`: it puts small files together; if they come back within "
        f"hours, set `maintenance.every` lower in stream.yaml.",
        page="/lake",
        numbers={"files_read": read, "files": worst.files_there or read, "rows": rows, "merge_s": worst.took_s},
    )


def _scattered(upsert: EntitiesUpserted, observed: Observed) -> float:
    read = upsert.files_read or 0
    if read <= _MANY_FILES:
        return 0.0
    table = observed.tables.get(upsert.table)
    size = 0.0 if table is None or not table.bytes or not table.files else table.bytes / table.files
    needed = max(1.0, read * size / _GOOD_FILE_BYTES)
    saved = upsert.took_s * max(0.0, 1 - needed / read)
    return min(1.0, saved / _every_s(upsert, observed))


def _every_s(upsert: EntitiesUpserted, observed: Observed) -> float:
    """From one MERGE to the next: the pause between two, and the MERGE itself."""
    return (observed.tables_trigger_s or 0.0) + upsert.took_s
