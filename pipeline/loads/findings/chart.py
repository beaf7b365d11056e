"""How is a line over time drawn in a file without a script? As SVG; a second in which nothing was measured is a gap."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from controlplane.contract.loads import LoadSecond

_WIDE, _HIGH, _LEFT, _BELOW = 960, 170, 56, 18
_TICKS = 4
_WHOLE_FROM = 100


@dataclass(frozen=True)
class Line:
    """One of a chart."""

    name: str
    points: tuple[tuple[float, float | None], ...]


def _of(seconds: Sequence[LoadSecond], **names: str) -> list[Line]:
    return [Line(words, tuple((each.t_s, getattr(each, name)) for each in seconds)) for name, words in names.items()]


def _lags(seconds: Sequence[LoadSecond]) -> list[Line]:
    names = sorted({name for each in seconds for name in each.lag_s})
    return [Line(name, tuple((each.t_s, each.lag_s.get(name)) for each in seconds)) for name in names]


LINES: Mapping[str, tuple[str, Callable[[Sequence[LoadSecond]], list[Line]]]] = {
    "Offered and accepted": (
        "a second",
        lambda rows: _of(
            rows, accepted="accepted", refused="429", offered="offered", failed="failed", asked="asked for"
        ),
    ),
    "Response": ("ms since it was due", lambda rows: _of(rows, p50_ms="p50", p99_ms="p99")),
    "Lag": ("s", _lags),
    "Event to pixel": ("ms, p99", lambda rows: _of(rows, pixel_p99_ms="event to pixel")),
    "Waiting in the collector": ("events", lambda rows: _of(rows, waiting="waiting")),
    "Executors": ("", lambda rows: _of(rows, executors="executors")),
}
"""Title -> unit, lines; all over the same seconds."""


def chart(lines: Sequence[Line], seconds: float, peak: tuple[float, float]) -> str:
    """An SVG of lines from 0 on; the peak is shaded."""
    wide = max([seconds, *(at for line in lines for at, _ in line.points)]) or 1.0
    most = max((value for line in lines for _, value in line.points if value is not None), default=0) or 1.0

    def place(at: float, value: float) -> tuple[float, float]:
        return _LEFT + at / wide * (_WIDE - _LEFT), (_HIGH - _BELOW) * (1 - value / most) + 4

    low, high = (place(each, 0)[0] for each in peak)
    shade = (
        f'<rect x="{low:.1f}" y="4" width="{max(0, high - low):.1f}" height="{_HIGH - _BELOW}" '
        f'fill="var(--rule)" opacity="0.35"/>'
    )
    drawn = "".join(
        f'<path d="{_path(line, place)}" fill="none" stroke="var(--line-{index % 6})" stroke-width="1.5"/>'
        for index, line in enumerate(lines)
    )
    said = escape(", ".join(line.name for line in lines))
    inside = f"{shade}{''.join(_grid(wide, most, place))}{drawn}"
    return f'<svg viewBox="0 0 {_WIDE} {_HIGH + 8}" role="img" aria-label="{said}">{inside}</svg>'


def _grid(wide: float, most: float, place: Callable[[float, float], tuple[float, float]]) -> Iterator[str]:
    for tick in range(_TICKS + 1):
        x, y = place(wide * tick / _TICKS, most * tick / _TICKS)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_figure(most * tick / _TICKS)}</text>'
        side = "end" if tick == _TICKS else "middle" if tick else "start"
        yield f'<text x="{x:.1f}" y="{_HIGH + 4}" text-anchor="{side}">{wide * tick / _TICKS:,.0f} s</text>'


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.3g}"


def _path(line: Line, place: Callable[[float, float], tuple[float, float]]) -> str:
    found, is_open = "", False
    for at, value in line.points:
        if value is not None and at >= 0:
            x, y = place(at, value)
            found += f"{'L' if is_open else 'M'}{x:.1f},{y:.1f}"
        is_open = value is not None and at >= 0
    return found
