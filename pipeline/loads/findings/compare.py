"""Is one run better than another, or is that noise? Beside each difference, on how many values it rests.

Of what was measured each second at the peak, a median has an interval that holds the true one in 95 of 100 cases whatever the
distribution (order statistics, see Conover, Practical Nonparametric Statistics, 3.2). Two runs differ where their intervals do not
touch. Seconds of one run follow one another, so the interval is rather too short: it says what is noise, not what is proof. Of what
there is one value a run (recovery), nothing tells noise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from controlplane.contract.loads import Difference, LoadCompared, peak_seconds
from pipeline.loads.findings.numbers import middle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controlplane.contract.loads import LoadReport

_Z = 1.96
_EACH_SECOND = (
    ("accepted", "accepted", "/s"),
    ("p50", "p50_ms", "ms"),
    ("p99", "p99_ms", "ms"),
    ("event to pixel p99", "pixel_p99_ms", "ms"),
)
"""Figure, field of a second, unit."""


def compared(before: LoadReport, after: LoadReport) -> LoadCompared:
    """Two runs beside one another."""
    each = (_of_seconds(*what, before, after) for what in _EACH_SECOND)
    recovery = _single("recovery", "s", before.recovery_s, after.recovery_s)
    return LoadCompared(before=before, after=after, differences=(*each, recovery), notes=tuple(_notes(before, after)))


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Of the median, 95 %; None when there are too few values to say."""
    ordered, n = sorted(values), len(values)
    low = math.floor((n - _Z * math.sqrt(n)) / 2)
    return (ordered[low], ordered[n - 1 - low]) if low >= 0 and n > 1 else None


def _of_seconds(figure: str, field: str, unit: str, before: LoadReport, after: LoadReport) -> Difference:
    ours, theirs = (
        [value for each in peak_seconds(run) if (value := getattr(each, field)) is not None] for run in (before, after)
    )
    was, now, n = middle(ours), middle(theirs), (len(ours), len(theirs))
    if was is None or now is None:
        return _said(figure, unit, was, now, None, n, "not measured in both")
    of_before, of_after = interval(ours), interval(theirs)
    if of_before is None or of_after is None:
        return _said(figure, unit, was, now, None, n, f"{_change(was, now)}; too few seconds to tell it from noise")
    is_more = True if of_after[0] > of_before[1] else False if of_after[1] < of_before[0] else None
    said = "within the noise" if is_more is None else "more than noise"
    return _said(figure, unit, was, now, is_more, n, f"{_change(was, now)}, {said}")


def _single(figure: str, unit: str, was: float | None, now: float | None) -> Difference:
    n = (int(was is not None), int(now is not None))
    if was is None or now is None:
        return _said(figure, unit, was, now, None, n, "not known of both")
    return _said(figure, unit, was, now, None, n, f"{now - was:+.1f} s; one value a run: noise can't be told")


def _said(  # noqa: PLR0913 (the fields of a difference)
    figure: str,
    unit: str,
    before: float | None,
    after: float | None,
    is_more: bool | None,
    n: tuple[int, int],
    text: str,
) -> Difference:
    return Difference(figure=figure, unit=unit, before=before, after=after, is_more=is_more, n=n, text=text)


def _change(was: float, now: float) -> str:
    return f"{100 * (now - was) / was:+.0f} %" if was else f"{now - was:+.3g}"


def _notes(before: LoadReport, after: LoadReport) -> Iterator[str]:
    for name in ("stream", "target", "shape", "rate", "lasts", "users"):
        was, now = getattr(before.asked, name), getattr(after.asked, name)
        if was != now:
            yield f"{name} differs: {was} and {now}"
    for name, was, now in (
        ("settings", before.settings, after.settings),
        ("machine", before.machine, after.machine),
        ("versions", before.versions, after.versions),
    ):
        if differing := sorted(key for key in {*was, *now} if was.get(key) != now.get(key)):
            yield f"{name} differ: {', '.join(differing)}"
    for run in (before, after):
        if run.ended != "whole":
            yield f"{run.id}: {run.ended}"
