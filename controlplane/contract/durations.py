"""How do people write a length of time? As `250ms`, `30s`, `5m`, `6h`, `45d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = re.compile(r"(?P<count>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d)")


def parse_duration(written: object) -> timedelta:
    """Read `5m` as five minutes.

    Raises:
        ValueError: if it is not a number with one of the units ms, s, m, h, d.
    """
    if isinstance(written, timedelta):
        return written
    match = _WRITTEN.fullmatch(str(written).strip())
    if match is None:
        message = f"{written!r} is not a duration; write a number and a unit, such as 250ms, 30s, 5m, 6h or 45d"
        raise ValueError(message)
    return timedelta(seconds=float(match["count"]) * _UNITS[match["unit"]])


def format_duration(duration: timedelta) -> str:
    """Write a duration in the largest unit that states it whole: `5m`, `90s`, `250ms`."""
    milliseconds = round(duration.total_seconds() * 1000)
    for unit in ("d", "h", "m", "s"):
        size = round(_UNITS[unit] * 1000)
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]
"""A `timedelta` that is written with a unit."""
