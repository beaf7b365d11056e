"""A shop that was made up: visitors, carts, purchases, refunds, and the faults that every real feed has.

Everything about an event but its time follows from (seed, position), so a feed that was killed goes on exactly where its
last committed transaction ended. The numbers come from a 64-bit mix (SplitMix64, Steele et al., 2014), cut into slices.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from pipeline.feed.event import Fault, FeedEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MASK = (1 << 64) - 1
_TYPES = ("view",) * 70 + ("cart",) * 18 + ("purchase",) * 10 + ("refund",) * 2
_COUNTRIES = ("US",) * 30 + ("DE", "GB", "FR") * 10 + ("BR", "JP", "IN") * 8 + ("ES", "IT", "NL", "SE", "CA") * 3
_DEVICES = ("phone",) * 6 + ("desktop",) * 3 + ("tablet",)
_PRODUCTS = 40
_VISITORS = 20_000
FAULTS: tuple[Fault | str, ...] = (*Fault, "country_lower_case", "quantity_zero", "amount_negative", "year_ahead")
"""All that may be wrong with an event; each is as likely as the others."""


def _mix(number: int) -> int:
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


def event(seed: int, position: int, fault_share: float, at: datetime) -> FeedEvent:
    """The event at a position, dated `at`."""
    first, second = _mixed(seed, position)
    value, kind = _value(first, second, at), fault_of(seed, position, fault_share)
    if isinstance(kind, Fault):
        return FeedEvent(position, value, kind)
    if kind is not None:
        _break(value, kind)
    return FeedEvent(position, value, None)


def fault_of(seed: int, position: int, fault_share: float) -> Fault | str | None:
    """What is wrong with the event at a position: a fault of its bytes, the name of one of its content, or nothing."""
    first, second = _mixed(seed, position)
    return FAULTS[first % len(FAULTS)] if (second >> 40) / (1 << 24) < fault_share else None


def event_id(seed: int, position: int) -> str:
    """What the event at a position is called, whatever is wrong with it."""
    return f"{_mixed(seed, position)[0]:016x}"


def _mixed(seed: int, position: int) -> tuple[int, int]:
    first = _mix(seed * 0x1_0000_0001 + position)
    return first, _mix(first)


def _value(first: int, second: int, at: datetime) -> dict[str, Any]:
    kind = _TYPES[first % 100]
    visitor = (first >> 8) % _VISITORS
    product = min((first >> 24) % _PRODUCTS, (first >> 32) % _PRODUCTS)
    quantity = 1 + ((second >> 4) & 3)
    paid = kind in ("purchase", "refund")
    return {
        "event_id": f"{first:016x}",
        "event_type": kind,
        "user_id": f"u{visitor:05d}",
        "session_id": f"s{visitor:05d}-{(second >> 8) & 7}",
        "product_id": f"p{product:03d}",
        "country": _COUNTRIES[visitor % len(_COUNTRIES)],
        "device": _DEVICES[visitor % len(_DEVICES)],
        "amount": round(quantity * (8 + product * 4.25), 2) if paid else None,
        "quantity": quantity,
        "page_ms": 40 + ((second >> 12) & 255) + (((second >> 20) & 1023) if second & 15 == 0 else 0),
        "event_time": at,
    }


def _break(value: dict[str, Any], kind: str) -> None:
    match kind:
        case "country_lower_case":
            value["country"] = value["country"].lower()
        case "quantity_zero":
            value["quantity"] = 0
        case "amount_negative":
            value["amount"] = -abs(value["amount"] or 1.0)
        case "year_ahead":
            value["event_time"] += timedelta(days=365)


def events(
    now: Callable[[], datetime], *, seed: int, start: int = 0, fault_share: float = 0.0, until: int | None = None
) -> Iterator[FeedEvent]:
    """The feed from a position on; without an end unless `until` is given."""
    for position in count(start) if until is None else range(start, until):
        yield event(seed, position, fault_share, now())
