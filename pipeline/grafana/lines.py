"""How is a number written so that Grafana Live takes it? Influx line protocol, one value a line.

Grafana makes a channel of each measurement and draws what comes in it as long as its columns stay the same; when they change,
the lines drawn so far are gone. A value that is not known is left out, so two values in one line would change the columns
whenever one of them is not known. So each has a measurement of its own, whose only field is `value`.

Grafana writes a line's tags into one column as `name=value, name=value` and takes them apart in the browser, without escaping:
a comma or an equals sign in a tag is replaced. So is a backslash: before a space, which is escaped by one, it would end
the tag. The grammar is https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol, the channel's is Grafana's
(letters, digits, `_`, `-`, at most 160).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

STREAM = "tidegate"
"""Of Grafana Live: channels are `stream/tidegate/<measurement>`."""
CHANNEL_AT_MOST = 160
_BODY_AT_MOST = 256 * 1024
"""A WebSocket message may have 1 MiB at Grafana, a body what a proxy before it allows."""
_TAG_AT_MOST = 200
_NO_TAG = "(none)"
_IN_A_TAG = str.maketrans(",=\\", ";:/")
_MICROSECOND_NS = 1000


@dataclass(frozen=True)
class Point:
    """One value at one moment."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    """In the order in which they are read."""
    value: float | str
    at: datetime
    """When it was so; not when it is sent."""

    @property
    def series(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What it is a point of."""
        return self.measurement, self.tags


def measurement_of(*parts: str) -> str:
    """A measurement's name, made of parts that may be anything."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", "_".join(parts))
    return name[: CHANNEL_AT_MOST - len(f"stream/{STREAM}/")]


def line_of(point: Point) -> str:
    """A point as one line, its time in nanoseconds."""
    tags = "".join(f",{_escaped(name)}={_escaped(_tag(value))}" for name, value in point.tags)
    micros = round(point.at.timestamp() * 1_000_000)
    return f"{_escaped(point.measurement)}{tags} value={_field(point.value)} {micros * _MICROSECOND_NS}"


def bodies(points: Iterable[Point]) -> Iterator[tuple[bytes, list[Point]]]:
    """What to send, and the points in it; none is larger than Grafana and what is before it take."""
    lines: list[bytes] = []
    held: list[Point] = []
    size = 0
    for point in points:
        line = line_of(point).encode()
        if lines and size + len(line) + 1 > _BODY_AT_MOST:
            yield b"\n".join(lines), held
            lines, held, size = [], [], 0
        lines.append(line)
        held.append(point)
        size += len(line) + 1
    if lines:
        yield b"\n".join(lines), held


def _tag(value: str) -> str:
    """A tag's value that survives Grafana's column of labels."""
    one_line = "".join(" " if ord(each) < ord(" ") else each for each in value)
    return one_line.translate(_IN_A_TAG).strip()[:_TAG_AT_MOST] or _NO_TAG


def _escaped(name: str) -> str:
    return re.sub(r"([,= ])", r"\\\1", name)


def _field(value: float | str) -> str:
    if isinstance(value, str):
        written = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{" ".join(written.split())}"'
    return repr(float(value))
