"""What belongs in the quarantine of the shop, and under which reason? Known from the feed's positions, without the platform."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltalake import DeltaTable

from controlplane.contract.names import (
    HEADER_FEED_POSITION,
    REJECTS,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    Hop,
    Reason,
    lake_table,
    topic,
)
from load_tests.bench.faults.truth import records
from pipeline.feed import shop
from pipeline.feed.event import Fault

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings
    from load_tests.bench.faults.truth import Place

SHOWN_AS: dict[Fault | str, tuple[str, str]] = {
    Fault.NOT_AVRO: (Reason.NOT_AVRO, ""),
    Fault.UNKNOWN_SCHEMA_ID: (Reason.UNKNOWN_SCHEMA_ID, ""),
    Fault.TRUNCATED: (Reason.UNDECODABLE, ""),
    Fault.BLOATED: (Reason.UNDECODABLE, ""),
    "country_lower_case": (Reason.RULE_BROKEN, "country_code"),
    "quantity_zero": (Reason.RULE_BROKEN, "quantity_in_range"),
    "amount_negative": (Reason.RULE_BROKEN, "amount_not_negative"),
    "year_ahead": (Reason.EVENT_TIME_AHEAD, ""),
}
"""Fault -> reason and rule under which an operator finds it. Two faults of bytes look the same: neither can be read to its end."""


@dataclass(frozen=True)
class Faulty:
    """The faulty events that were produced."""

    by_place: dict[Place, Fault | str]
    event_ids: dict[Place, str]
    """What each would have been called."""


def produced(settings: Settings, stream: str, seed: int, share: float) -> Faulty:
    """Read from the raw topic: each record says its position."""
    by_place: dict[Place, Fault | str] = {}
    event_ids: dict[Place, str] = {}
    for message in records(settings, topic(stream, Hop.RAW)):
        headers = dict(message.headers() or [])
        if HEADER_FEED_POSITION not in headers:
            continue
        position = int(headers[HEADER_FEED_POSITION])
        if (fault := shop.fault_of(seed, position, share)) is not None:
            place = (message.partition(), message.offset())
            by_place[place] = fault
            event_ids[place] = shop.event_id(seed, position)
    return Faulty(by_place, event_ids)


def misplaced(settings: Settings, stream: str, faulty: Faulty) -> tuple[Counter[str], list[str]]:
    """How many rejects are under each reason and rule, and what is not where it belongs, in words."""
    table = DeltaTable(lake_table(settings.lake_root, stream, REJECTS))
    rows = table.to_pyarrow_table(columns=[SOURCE_PARTITION, SOURCE_OFFSET, "reason", "rules"]).to_pylist()
    found: Counter[str] = Counter()
    seen: Counter[Place] = Counter()
    wrong: list[str] = []
    for row in rows:
        place, shown = (row[SOURCE_PARTITION], row[SOURCE_OFFSET]), (row["reason"], row["rules"] or "")
        found[": ".join(filter(None, shown))] += 1
        seen[place] += 1
        if place not in faulty.by_place:
            wrong.append(f"raw {place} is rejected as {shown} and has no fault")
        elif shown != SHOWN_AS[faulty.by_place[place]]:
            wrong.append(f"raw {place}, {faulty.by_place[place]}, is rejected as {shown}")
    wrong += [f"raw {place} is rejected {count} times" for place, count in seen.items() if count > 1]
    wrong += [
        f"raw {place}, {fault}, is not among the rejects" for place, fault in faulty.by_place.items() if not seen[place]
    ]
    return found, wrong
