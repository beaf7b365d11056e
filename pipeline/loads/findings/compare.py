"""Is one run better than another, or is that noise? Beside each difference, on how many values it rests.

Of what was measured each second at the peak, a median has an interval that holds the true one in 95 of 100 cases whatever the
distribution (order statistics, see Conover, Practical Nonparametric Statistics, 3.2). Two runs differ where their intervals do not
touch. Seconds of one run follow one another, so the interval is rather too short: it says what is noise, not what is proof. Of what
there is one value a run (recovery), nothing tells noise. Of runs that were asked for otherwise none is the better one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.loads import Difference, LoadCompared, peak_seconds
from pipeline.loads.findings.numbers import middle
from pipeline.loads.findings.report import worded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controlplane.contract.loads import LoadReport

_Z = 1.96


@dataclass(frozen=True)
class _Figure:
    name: str
    field: str
    """Of a second."""
    unit: str
    is_good: bool = False
    """Is more of it better?"""


_EACH_SECOND = (
    _Figure("accepted", "accepted", "/s", is_good=True),
    _Figure("p50", "p50_ms", "ms"),
    _Figure("p99", "p99_ms", "ms"),
    _Figure("event to pixel p99", "pixel_p99_ms", "ms"),
)


def compared(before: LoadReport, after: LoadReport) -> LoadCompared:
    """Two runs beside one another."""
    why_not = tuple(_why_not(before, after))
    each = (_of_seconds(figure, before, after, is_judged=not why_not) for figure in _EACH_SECOND)
    recovery = _recovery(before.recovery_s, after.recovery_s)
    return LoadCompared(
        before=before,
        after=after,
        differences=(*each, recovery),
        incomparable=why_not,
        notes=tuple(_notes(before, after)),
    )


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Of the median, 95 %; None when there are too few values to say."""
    ordered, n = sorted(values), len(values)
    low = math.floor((n - _Z * math.sqrt(n)) / 2)
    return (ordered[low], ordered[n - 1 - low]) if low >= 0 and n > 1 else None


def _of_seconds(figure: _Figure, before: LoadReport, after: LoadReport, *, is_judged: bool) -> Difference:
    ours, theirs = (
        [value for each in peak_seconds(run) if (value := getattr(each, figure.field)) is not None]
        for run in (before, after)
    )
    is_better, text = _verdict(ours, theirs, is_good=figure.is_good)
    return Difference(
        figure=figure.name,
        unit=figure.unit,
        before=middle(ours),
        after=middle(theirs),
        is_better=is_better if is_judged else None,
        n=(len(ours), len(theirs)),
        text=f"{text}: {'better' if is_better else 'worse'}" if is_judged and is_better is not None else text,
    )


def _verdict(ours: Sequence[float], theirs: Sequence[float], *, is_good: bool) -> tuple[bool | None, str]:
    """Are the later values better, and in words."""
    was, now = middle(ours), middle(theirs)
    if was is None or now is None:
        return None, "not measured in both"
    of_before, of_after = interval(ours), interval(theirs)
    if of_before is None or of_after is None:
        return None, f"{_change(was, now)}; too few seconds to tell it from noise"
    if of_after[0] <= of_before[1] and of_before[0] <= of_after[1]:
        return None, f"{_change(was, now)}, within the noise"
    return (now > was) == is_good, f"{_change(was, now)}, more than noise"


def _recovery(was: float | None, now: float | None) -> Difference:
    text = "not known of both"
    if was is not None and now is not None:
        text = f"{now - was:+.1f} s; one value a run: noise can't be told"
    n = (int(was is not None), int(now is not None))
    return Difference(figure="recovery", unit="s", before=was, after=now, is_better=None, n=n, text=text)


def _change(was: float, now: float) -> str:
    return f"{100 * (now - was) / was:+.0f} %" if was else f"{now - was:+.3g}"


def _why_not(before: LoadReport, after: LoadReport) -> Iterator[str]:
    for name in ("stream", "target", "shape", "rate", "lasts", "users"):
        was, now = getattr(before.asked, name), getattr(after.asked, name)
        if was != now:
            yield f"{name} differs: {worded(was)} and {worded(now)}"
    for run in (before, after):
        if run.ended != "whole":
            yield f"{run.id} is not whole: {run.ended}"


def _notes(before: LoadReport, after: LoadReport) -> Iterator[str]:
    for what, was, now in (
        ("settings", before.settings, after.settings),
        ("machine", before.machine, after.machine),
        ("versions", before.versions, after.versions),
    ):
        for key in sorted({*was, *now}):
            if was.get(key) != now.get(key):
                yield f"{what} differ: {key} {was.get(key, 'unknown')} and {now.get(key, 'unknown')}"
