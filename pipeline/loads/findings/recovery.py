"""How long was each query behind after the peak? Until its lag is back under its level: the most that it had before the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.loads import Recovery, peak_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.loads import Corners, Observed, Offered

_LEAST_S = {"route": 1.0, "live": 1.0, "lake": 15.0}
"""By part: below this nobody is behind; lake begins a micro-batch every ten seconds."""
_OTHERWISE_S = 5.0
_IN_A_ROW = 3
"""Looks below the level: one may be between two batches."""


def peak_reached(corners: Corners, offered: Sequence[Offered]) -> tuple[float, float]:
    """From when until when the peak was; it ends with the load where that was cut short."""
    begins, ends = peak_of(corners)
    last = max((each.t_s for each in offered), default=ends)
    return min(begins, last), min(ends, last)


def recoveries(observed: Sequence[Observed], peak: tuple[float, float]) -> list[Recovery]:
    """One for each query that was seen."""
    names = sorted({name for each in observed for name in each.lag_s})
    return [_recovery(name, observed, *peak) for name in names]


def all_back(found: Sequence[Recovery]) -> bool:
    """Is nothing behind any more?"""
    return bool(found) and all(each.seconds is not None for each in found)


def _recovery(name: str, observed: Sequence[Observed], begins: float, ends: float) -> Recovery:
    lags = [(each.t_s, each.lag_s.get(name)) for each in observed]
    before = [lag for at, lag in lags if lag is not None and at < begins]
    least = _LEAST_S.get(name.partition(" ")[0], _OTHERWISE_S)
    level = max([least, *before])
    worst = max((lag for at, lag in lags if lag is not None and at >= begins), default=None)
    after = [(at, lag) for at, lag in lags if at >= ends]
    back = next((at for index, (at, _) in enumerate(after) if _is_back(after[index : index + _IN_A_ROW], level)), None)
    why = "" if back is not None else "its lag was not known" if worst is None else "it was not seen to be back"
    seconds = None if back is None else round(back - ends, 1)
    return Recovery(consumer=name, level_s=round(level, 2), worst_s=worst, seconds=seconds, reason=why)


def _is_back(looks: Sequence[tuple[float, float | None]], level: float) -> bool:
    return len(looks) == _IN_A_ROW and all(lag is not None and lag <= level for _, lag in looks)
