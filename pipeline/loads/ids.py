"""Which events are a run's? Those whose id says so: the run's number in its upper half, the event's position in its lower.

A generator's events follow from a seed, so two runs would send the same ids; and the feed beside them sends its own. The id that is
put in here is what the balance of a run is counted by afterwards.
"""

from __future__ import annotations

from typing import Any

_FIELDS = {"shop": "event_id", "flights": "id"}
"""Streams that have a generator, and the field that names one of their events."""
LOADED = tuple(_FIELDS)
_LOWER = 32
_HEX_DIGITS = 16


def run_number(operation: str) -> int:
    """Of an operation's id, 31 bits: distinct unless two runs in two thousand million agree in eight digits."""
    return int(operation[:8], 16) & 0x7FFF_FFFF


def field_of(stream: str) -> str:
    """The field that names an event of a stream that has a generator."""
    return _FIELDS[stream]


def mark(stream: str, value: dict[str, Any], run: int, position: int) -> None:
    """Make a generated event one of a run's."""
    field, number = _FIELDS[stream], run << _LOWER | position
    value[field] = f"{number:016x}" if isinstance(value[field], str) else number


def position_of(found: object, run: int) -> int | None:
    """Which of the run's events has this id; None: none of it."""
    if isinstance(found, int):
        number = found
    elif isinstance(found, str) and len(found) == _HEX_DIGITS:
        try:
            number = int(found, 16)
        except ValueError:
            return None
    else:
        return None
    return number & ((1 << _LOWER) - 1) if number >> _LOWER == run else None


def bounds(stream: str, run: int) -> tuple[str, str]:
    """The run's first id and the one after its last, as ClickHouse compares them."""
    low, high = run << _LOWER, (run + 1) << _LOWER
    return (f"'{low:016x}'", f"'{high:016x}'") if stream == "shop" else (str(low), str(high))
