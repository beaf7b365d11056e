"""Is it the tasks? Too few slots, one task with most of the work, or a heap that is cleaned all the time.

What is seen of a stage is how long it lasted, and of its tasks the sum, the median and the longest. From these follows how long
it would have lasted otherwise: with a slot for every task as long as its longest task; with the work spread evenly as long as
the mean, or as the slots need for the sum of it; without garbage shorter by the share of their time that tasks waited for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.lag import Cause, Suspect
from lag_monitor.why.observed import LEAST, busy_share, lasted_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.spark import StageSeen
    from lag_monitor.why.observed import Observed

_BUSY = 0.7
"""Slots that work less than this of their time are not what tasks wait for."""
_SKEWED = 1.5
"""The longest task over the mean: of two tasks, one has three quarters of the work."""
_NOTICED_S = 0.1
"""Tasks differ by as much for no reason."""


def too_few_slots(observed: Observed) -> Suspect | None:
    """Tasks wait although every slot works: the time until the last of them could begin."""
    if (waiting := _unread(observed)) is not None:
        return waiting
    saved = _saved(observed, lambda stage: _queued_s(stage, observed))
    if saved is None or (slots := observed.slots) is None:
        return None
    share, worst = saved
    lasted, one = lasted_s(worst, observed.now) or 0.0, "1 slot" if slots == 1 else f"{slots} slots"
    tasks = "1 task" if worst.tasks == 1 else f"{worst.tasks} tasks"
    others = "" if worst.tasks > slots else ", on which other work ran"
    return Suspect(
        cause=Cause.TOO_FEW_SLOTS,
        share=share,
        evidence=f"stage {worst.stage} has {tasks} for {one}{others}, and took {lasted:.1f} s; with a slot for each task the "
        f"batches would take {share:.0%} less.",
        advice=_more_slots(observed, max(worst.tasks, 2 * slots)),
        page="/scaling",
        numbers={"tasks": worst.tasks, "slots": slots, "stage_s": lasted},
    )


def _unread(observed: Observed) -> Suspect | None:
    """Real-time mode holds a slot for each partition for the whole batch: a task without one reads nothing until the next."""
    stage = next((each for each in observed.running if observed.is_realtime), None)
    if stage is None or not stage.tasks:
        return None
    waiting = stage.tasks - stage.active_tasks - stage.completed_tasks
    share = waiting / stage.tasks
    if share < LEAST or stage.active_tasks == 0:
        return None
    return Suspect(
        cause=Cause.TOO_FEW_SLOTS,
        share=share,
        evidence=f"{waiting} of {stage.tasks} tasks have no slot, so their partitions are not read in this batch "
        f"({stage.active_tasks} run).",
        advice=_more_slots(observed, stage.tasks),
        page="/scaling",
        numbers={"tasks": stage.tasks, "waiting_tasks": waiting},
    )


def _more_slots(observed: Observed, tasks: int) -> str:
    if observed.query.part == "route":
        return "Run `tidegate restart route`: it takes slots for the partitions that its topics have now."
    return (
        f"Run `tidegate scaling scale {observed.query.part} N` for up to {tasks} slots; where it runs in one process "
        f"(`tidegate scaling ls` says `local`), start the platform with `tidegate up --spark standalone`."
    )


def _queued_s(stage: StageSeen, observed: Observed) -> float:
    lasted, slots = lasted_s(stage, observed.now), observed.slots
    if lasted is None or slots is None or not stage.tasks:
        return 0.0
    if stage.completed_at is None:  # of what will take so many rounds, one would do
        is_full = stage.active_tasks >= slots and stage.tasks > stage.active_tasks + stage.completed_tasks
        return lasted * (1 - slots / stage.tasks) if is_full else 0.0
    busy = busy_share(stage, observed)
    if busy is None or busy < _BUSY:
        return 0.0
    longest = stage.run_s / stage.tasks if stage.task_s is None else stage.task_s[2]
    return max(0.0, lasted - longest)


def skewed_partition(observed: Observed) -> Suspect | None:
    """One task has far more to do: the time that the others' slots stood idle for it."""
    saved = _saved(observed, lambda stage: _uneven_s(stage, observed))
    found = None if saved is None else _skewed_task(observed, *saved)
    hot = _hot(observed)
    return max((each for each in (found, hot) if each is not None), key=lambda each: each.share, default=None)


def _skewed_task(observed: Observed, share: float, worst: StageSeen) -> Suspect | None:
    if worst.task_s is None:
        return None
    mean, longest = worst.run_s / worst.tasks, worst.task_s[2]
    rows = "" if worst.task_rows is None else f" ({worst.task_rows[2]:,.0f} rows in it)"
    return Suspect(
        cause=Cause.SKEWED_PARTITION,
        share=share,
        evidence=f"of {worst.tasks} tasks of stage {worst.stage} one took {longest:.1f} s, the mean is {mean:.1f} s{rows}; "
        f"evenly spread the batches would take {share:.0%} less.",
        advice=f"See which key has most events (`GROUP BY` the key on `{observed.query.stream}_valid`); "
        f"let producers add something to that key, or raise the topic's partitions if many keys share one.",
        page=observed.query.spark_page,
        numbers={"tasks": worst.tasks, "longest_s": longest, "mean_s": mean},
    )


def _uneven_s(stage: StageSeen, observed: Observed) -> float:
    lasted, slots = lasted_s(stage, observed.now), observed.slots
    if lasted is None or slots is None or stage.task_s is None or stage.tasks < 2:  # noqa: PLR2004 (one task is even)
        return 0.0
    mean, longest = stage.run_s / stage.tasks, min(lasted, stage.task_s[2])
    if longest < _SKEWED * mean or longest - mean < _NOTICED_S:
        return 0.0
    return max(0.0, longest - max(mean, stage.run_s / slots))


def _hot(observed: Observed) -> Suspect | None:
    """A source partition has more of the lag than its share: the lag that it would not have if all had the same."""
    lag = observed.lag
    if lag is None or lag.hot_partition is None or not lag.lag_events:
        return None
    hot = next((each for each in lag.partitions if each.partition == lag.hot_partition), None)
    if hot is None or hot.lag_events is None:
        return None
    share = (hot.lag_events - lag.lag_events / len(lag.partitions)) / lag.lag_events
    if share < LEAST:
        return None
    return Suspect(
        cause=Cause.SKEWED_PARTITION,
        share=min(1.0, share),
        evidence=f"partition {hot.partition} of {lag.topic} has {hot.lag_events:,} of the {lag.lag_events:,} offsets that are "
        f"left, of {len(lag.partitions)} partitions.",
        advice=f"See which key goes there most (`GROUP BY` the key on `{observed.query.stream}_valid`); "
        f"let producers add something to that key.",
        page=observed.query.lag_page,
        numbers={"partition": hot.partition, "partition_lag_events": hot.lag_events, "lag_events": lag.lag_events},
    )


def garbage_collection(observed: Observed) -> Suspect | None:
    """The JVM collects garbage while tasks wait: the same share of each stage."""
    saved = _saved(observed, lambda stage: _collected_s(stage, observed))
    if saved is None:
        return None
    share, worst = saved
    of_tasks = min(1.0, worst.gc_s / worst.run_s)
    return Suspect(
        cause=Cause.GARBAGE_COLLECTION,
        share=share,
        evidence=f"tasks of stage {worst.stage} spent {worst.gc_s:.1f} s of {worst.run_s:.1f} s ({of_tasks:.0%}) in garbage "
        f"collection; that is {share:.0%} of the batches' time.",
        advice=f"Raise TIDEGATE_SPARK_MEMORY and run `tidegate restart {observed.query.part}`; if memory is short, lower "
        f"TIDEGATE_LAKE_BATCH so that a batch holds less.",
        page=observed.query.spark_page,
        numbers={"gc_s": worst.gc_s, "task_s": worst.run_s},
    )


def _collected_s(stage: StageSeen, observed: Observed) -> float:
    lasted = lasted_s(stage, observed.now)
    return 0.0 if lasted is None or not stage.run_s else lasted * min(1.0, stage.gc_s / stage.run_s)


def _saved(observed: Observed, seconds: Callable[[StageSeen], float]) -> tuple[float, StageSeen] | None:
    """Share of the batches' time that would be saved, and the stage that has most of it; None below `LEAST`."""
    took = sum(batch.took_s for batch in observed.staged)
    found = [(seconds(stage), stage) for batch in observed.staged for stage in batch.stages]
    if not took or not found:
        return None
    share = min(1.0, sum(saved for saved, _ in found) / took)
    return None if share < LEAST else (share, max(found, key=lambda each: each[0])[1])
