"""What does a watcher hold of a rollup after a partial frame?

Frames as they travel, as JSON: the hub, the clients in Python and in JavaScript (`dash_app/board/client.js`) keep one rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Data = dict[str, Any]
"""A `LiveFrame` as JSON."""


def merged(held: Data | None, frame: Data) -> Data:
    """What is held, with what a frame replaces of it; the oldest falls out, so that the span is kept."""
    if frame["reason"] is not None:
        return frame if held is None else {**held, "reason": frame["reason"]}
    if frame["full"] or held is None or not held["buckets"] or not frame["buckets"]:
        return frame
    step, first, end = frame["bucket_s"], frame["buckets"][0], frame["buckets"][-1]
    start = end - frame["span_s"] + step
    size, kept = round((end - start) / step) + 1, round((first - start) / step)
    olds, news = _by_key(held), _by_key(frame)
    skipped = round((start - held["buckets"][0]) / step)
    series = [
        {
            "key": list(key),
            "measures": {
                measure: _cells(olds.get(key, {}).get(measure, ()), skipped, kept)
                + _cells(news.get(key, {}).get(measure, ()), max(0, -kept), size - max(0, kept))
                for measure in frame["totals"]
            },
        }
        for key in dict.fromkeys([*olds, *news])
    ]
    return {**frame, "buckets": [start + step * number for number in range(size)], "series": series}


def _by_key(frame: Data) -> dict[tuple[str, ...], dict[str, Sequence[float | None]]]:
    return {tuple(each["key"]): each["measures"] for each in frame["series"]}


def _cells(values: Sequence[float | None], first: int, count: int) -> list[float | None]:
    """So many values from there on; None where there are none."""
    return [values[at] if 0 <= at < len(values) else None for at in range(first, first + count)]
