"""Parts, hops, ledgers and schemas: both streams flow, and shop's lake falls behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import (
    FeedProgressed,
    HopMeasured,
    LedgerPartition,
    LedgerTaken,
    PartChanged,
    PartState,
    SchemaRead,
    SchemaSeen,
    Verdict,
)
from controlplane.contract.names import Hop
from load_tests.shown.moment import AT
from load_tests.shown.past import lag_of

if TYPE_CHECKING:
    from controlplane.contract.facts import Fact

STREAMS = ("shop", "flights")
_MIB = 1024 * 1024
_PARTS = {
    "kafka": 612, "registry": 268, "clickhouse": 540, "control": 148, "route": 702, "lake": 1180, "live": 96, "lag": 118,
    "ledger": 92, "quality": 164, "alerts": 88, "maintenance": 70, "operations": 132, "console": 124, "feed-shop": 84,
}  # fmt: skip
_RATES = {Hop.RAW: 500.0, Hop.VALID: 489.0, Hop.DEAD: 1.2, Hop.QUARANTINE: 9.8, Hop.LAKE: 450.0, Hop.SERVING: 489.0}
_TOTALS = {
    Hop.RAW: 1_664_200, Hop.VALID: 1_631_100, Hop.DEAD: 3_300, Hop.QUARANTINE: 29_800, Hop.LAKE: 1_610_940,
    Hop.SERVING: 1_631_060,
}  # fmt: skip
_RESTARTED = "lake"
_LEDGER_MINUTES = 360
_IS_BEHIND = 2000
"""Events."""


def facts() -> list[Fact]:
    """As of the moment, and accounts of the hours before."""
    return [*_parts(), *_hops(), *_accounts(), *_schemas()]


def _parts() -> list[Fact]:
    began = AT - timedelta(hours=6, minutes=12)
    return [
        PartChanged(
            at=AT, part=part, state=PartState.RUNNING, pid=4000 + number, memory_bytes=mib * _MIB,
            started_at=began + timedelta(seconds=2 * number), restarts=1 if part == _RESTARTED else 0,
        )
        for number, (part, mib) in enumerate(_PARTS.items())
    ]  # fmt: skip


def _hops() -> list[Fact]:
    said: list[Fact] = [FeedProgressed(at=AT, stream="shop", produced=_TOTALS[Hop.RAW])]
    for stream in STREAMS:
        for hop, rate in _RATES.items():
            is_behind = stream == "shop" and hop is Hop.LAKE
            lag_s = lag_of("lake shop", 0) if is_behind else 0.3 if hop in (Hop.LAKE, Hop.SERVING) else 0.0
            said.append(
                HopMeasured(
                    at=AT, stream=stream, hop=hop, events=_TOTALS[hop], events_per_s=rate, lag_events=int(lag_s * 480),
                    lag_s=lag_s, newest_at=AT - timedelta(seconds=0.2),
                )
            )  # fmt: skip
    return said


def _accounts() -> list[Fact]:
    moments = [AT - timedelta(minutes=each) for each in range(_LEDGER_MINUTES - 1, -1, -1)]
    return [_account(stream, at) for at in moments for stream in STREAMS]


def _account(stream: str, at: datetime) -> LedgerTaken:
    """Some 490 events a second; in the lake a little less while it is behind."""
    before = int((AT - at).total_seconds())
    behind = int(lag_of(f"lake {stream}", before // 60) * 480)
    is_level = behind < _IS_BEHIND
    partitions = []
    for number in range(4):
        produced = (_TOTALS[Hop.RAW] - 500 * before) // 4 + 31 * number
        dead, quarantined = produced // 500, produced // 56
        valid = produced - dead - quarantined
        partitions.append(
            LedgerPartition(
                partition=number, raw_from=0, raw_until=produced + 900, settled_until=produced - 20_000, produced=produced,
                valid=valid, dead=dead, quarantined=quarantined, lake=valid if is_level else valid - behind // 4,
                serving=valid,
            )
        )  # fmt: skip
    said = "every settled event is where it should be"
    return LedgerTaken(
        at=at, stream=stream, partitions=tuple(partitions), verdict=Verdict.BALANCED if is_level else Verdict.IN_FLIGHT,
        reason=said if is_level else f"{behind:,} events are on their way to the lake; {said}", changed_at=at,
    )  # fmt: skip


def _schemas() -> list[Fact]:
    def seen(producer: str | None, schema_id: int, sampled: int, ago_s: float) -> SchemaSeen:
        at = AT - timedelta(seconds=ago_s)
        return SchemaSeen(
            at=AT, stream="shop", producer=producer, schema_id=schema_id, sampled=sampled, of=500, seen_at=at
        )

    return [
        seen("feed-shop", 3, 410, 1), seen("checkout-2", 3, 78, 2), seen("checkout-1", 1, 12, 9),
        SchemaRead(at=AT, stream="shop", reader="route", hop=Hop.RAW, schema_ids=(1, 3), writes=2),
        SchemaRead(at=AT, stream="shop", reader="lake", hop=Hop.VALID, schema_ids=(2,)),
        SchemaRead(at=AT, stream="shop", reader="live", hop=Hop.VALID, schema_ids=(2,)),
    ]  # fmt: skip
