"""What came of a run? Its figures and what is to be thought of them, with the settings, machine and versions that they hold for."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from controlplane.contract.durations import format_duration
from controlplane.contract.loads import Judgement, LoadReport
from pipeline.loads.findings.balance import ACCEPTED
from pipeline.loads.findings.numbers import TOO_MANY, at_peak, middle, percentile, seconds_of, thinned, totals
from pipeline.loads.findings.recovery import peak_reached, recoveries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controlplane.contract.loads import Balance, LoadAsked, Offered, Recovery
    from controlplane.contract.settings import Settings
    from pipeline.loads.folder import LoadFolder

NOT_ENDED = "it did not end by itself"
_ROWS = 1200
_KEPT_UP = 0.98
"""Share of what was due that has to be sent; less, and the process that loads was too slow."""
_SETTINGS = (
    "route_mode",
    "lake_trigger",
    "lake_batch",
    "lake_master",
    "lake_executors",
    "tables_trigger",
    "push_tick",
    "spark_memory",
)
_PACKAGES = ("tidegate", "locust", "pyspark", "delta-spark", "chdb", "confluent-kafka")


def report_of(folder: LoadFolder, settings: Settings, by: str, ended: str, balance: Balance | None) -> LoadReport:
    """All that a run's folder says.

    Args:
        folder: the run's.
        settings: under which it ran.
        by: who asked for it.
        ended: `whole`, or why it was cut short.
        balance: None when its events were not counted.
    """
    run, offered, observed = folder.run(), folder.offered(), folder.observed()
    asked, peak = run.asked, peak_reached(run.asked.corners, offered)
    seconds = seconds_of(asked, offered, observed)
    times = at_peak(offered, peak)
    back = recoveries(observed, peak)
    return LoadReport(
        id=run.id,
        asked=asked,
        by=by,
        at=datetime.fromtimestamp(run.started_ms / 1000, UTC),
        ended=ended,
        corners=asked.corners,
        peak_s=peak,
        offered=max((each.offered for each in offered), default=0),
        statuses=totals(offered),
        accepted_per_s=middle(each.accepted for each in seconds if peak[0] < each.t_s <= peak[1] + 1),
        p50_ms=percentile(times, 0.5),
        p99_ms=percentile(times, 0.99),
        pixel_p99_ms=max((each.pixel_p99_ms for each in observed if each.pixel_p99_ms is not None), default=None),
        recoveries=tuple(back),
        balance=balance,
        judgements=tuple(judged(asked, offered, back, balance, was_settled=ended != NOT_ENDED)),
        seconds=tuple(thinned(seconds, _ROWS)),
        settings={name: worded(getattr(settings, name)) for name in _SETTINGS},
        machine=_machine(),
        versions={name: version(name) for name in _PACKAGES},
    )


def judged(
    asked: LoadAsked,
    offered: Sequence[Offered],
    back: Sequence[Recovery],
    balance: Balance | None,
    *,
    was_settled: bool = True,
) -> Iterator[Judgement]:
    """What is to be thought of it."""
    if not offered:
        yield _unknown("load", "Nothing was said by the process that loads.")
    elif asked.events:
        yield _kept_up(offered[-1]) if offered[-1].due else _unknown("load", "It ended before anything was due.")
    yield _answered(totals(offered))
    yield _recovered(back) if was_settled else _unknown("recovery", "Nobody watched until lag was what it had been.")
    if asked.target.writes:
        yield _balanced(balance)


def _unknown(about: str, why: str) -> Judgement:
    return Judgement(about=about, state="unknown", text=why)


def _kept_up(last: Offered) -> Judgement:
    has = last.offered >= _KEPT_UP * last.due
    said = f"{last.offered:,} of the {last.due:,} that were due were sent"
    return Judgement(
        about="load",
        state="good" if has else "bad",
        text=f"{said}{'' if has else ': the process that loads was too slow'}.",
    )


def _answered(statuses: dict[str, int]) -> Judgement:
    taken, refused = sum(statuses.get(each, 0) for each in ACCEPTED), statuses.get(TOO_MANY, 0)
    failed = sum(statuses.values()) - taken - refused
    if not taken and not refused and not failed:
        return _unknown("answers", "Nothing was answered.")
    others = [
        f"{refused:,} refused by 429 and not sent again" if refused else "",
        f"{failed:,} failed or without an answer" if failed else "",
    ]
    said = ", ".join([f"{taken:,} taken", *filter(None, others)])
    return Judgement(about="answers", state="bad" if refused or failed else "good", text=f"{said}.")


def _recovered(back: Sequence[Recovery]) -> Judgement:
    open_ones = [each for each in back if each.seconds is None]
    if not back or any(each.worst_s is None for each in open_ones):
        names = ", ".join(each.consumer for each in open_ones)
        return _unknown("recovery", f"The lag{f' of {names}' if names else ''} was not known.")
    if open_ones:
        names = ", ".join(f"{each.consumer} ({each.worst_s:.1f} s at the worst)" for each in open_ones)
        return Judgement(about="recovery", state="bad", text=f"Not seen to be back where it was: {names}.")
    last = max(back, key=lambda each: each.seconds or 0)
    said = f"Every query was back where it was {last.seconds:.0f} s after the peak; the last was {last.consumer}."
    return Judgement(about="recovery", state="good", text=said)


def _balanced(balance: Balance | None) -> Judgement:
    if balance is None:
        return _unknown("balance", "Its events were not counted.")
    there = f"{balance.valid:,} valid, {balance.dead:,} dead, {balance.quarantined:,} quarantined"
    served = "" if balance.served is None else f"; ClickHouse has {balance.served:,}"
    said = f"{balance.acknowledged:,} acknowledged: {there}{served}. "
    wrong = f"{balance.lost:,} lost, {balance.doubled:,} doubled, {balance.uninvited:,} refused and there all the same"
    why = f" ({balance.reason})" if balance.reason else ""
    refused = f" {balance.refused:,} were refused and never sent again: that is no loss." if balance.refused else ""
    open_ones = (
        f" {balance.unanswered:,} were not answered: each is there once, or not at all." if balance.unanswered else ""
    )
    state = "good" if balance.is_balanced else "bad"
    return Judgement(
        about="balance",
        state=state,
        text=f"{said}{'Nothing lost, nothing doubled' if balance.is_balanced else wrong}{why}.{refused}{open_ones}",
    )


def worded(value: object) -> str:
    """What was asked for or set, as people write it."""
    return format_duration(value) if isinstance(value, timedelta) else str(value) or "none"


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.1f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
    }
