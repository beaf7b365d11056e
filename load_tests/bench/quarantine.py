"""Is every faulty event of the shop quarantined under its own reason, and is what can be mended in the tables once after a replay?

The shop runs for minutes with faults of every kind. When all has arrived the ledger must balance, and each reject must be where
the feed's positions say. Then an operator's commands replay, by reason, all that can be decoded, each with the fix that it needs,
and discard the rest; at last every mended event must be in Delta and in ClickHouse, once, and the ledger must balance again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import httpx
from deltalake import DeltaTable

from controlplane.contract.names import REJECTS, Hop, Reason, events_table, lake_table, subject
from controlplane.up import Platform
from controlplane.up.drained import Drained
from load_tests.bench.quarantined import Faulty, misplaced, produced
from load_tests.bench.until import until
from pipeline.feed.event import Fault
from pipeline.registry import await_registry, schemas_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controlplane.contract.settings import Settings

_STREAM, _SEED = "shop", 1
_ARRIVED_WITHIN_S = 600.0
_WRONG_AT_MOST = 10
_HOPELESS = (Fault.NOT_AVRO, Fault.TRUNCATED, Fault.BLOATED)
"""Bytes from which no event can be had."""


@dataclass
class Report:
    """What was found; `wrong` is empty when all is as it should be."""

    produced: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """By reason and rule."""
    replayed: int = 0
    discarded: int = 0
    mended: int = 0
    """Events that are in Delta and ClickHouse, once, because they were replayed."""
    replay_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


def measure(rate: float, seconds: float, faults: float, told: Callable[[str], None]) -> Report:
    """Run, compare, replay, compare.

    Args:
        rate: events a second.
        seconds: for how long they are produced.
        faults: share of faulty ones, of all kinds together.
        told: takes progress.
    """
    events, report = round(rate * seconds), Report()
    feed = ("--rate", str(rate), "--faults", str(faults), "--seed", str(_SEED), "--events", str(events))
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder), feeds={_STREAM: feed}, told=told) as platform:
        platform.start()
        told(f"{events:,} events in {seconds:.0f} s, {faults:.0%} of them faulty")
        platform.run_until(until(Drained(platform, told).check, "everything has arrived", seconds + _ARRIVED_WITHIN_S))
        report.produced = events
        faulty = produced(platform.settings, _STREAM, _SEED, faults)
        _await_rejects(platform, len(faulty.by_place))
        rejected, report.wrong = misplaced(platform.settings, _STREAM, faulty)
        report.rejected = dict(sorted(rejected.items()))
        began = time.monotonic()
        _mend(platform, faulty, report, told)
        report.replay_s = round(time.monotonic() - began, 1)
        platform.run_until(
            until(lambda: _balances(platform.settings, events, report), "the ledger balances again", 300)
        )
        _compare(platform.settings, faulty, report)
    report.wrong = report.wrong[:_WRONG_AT_MOST]
    return report


def _await_rejects(platform: Platform, count: int) -> None:
    path = lake_table(platform.settings.lake_root, _STREAM, REJECTS)

    def are_kept() -> bool:
        return DeltaTable.is_deltatable(path) and DeltaTable(path).count() >= count

    platform.run_until(until(are_kept, f"{count:,} rejects in the lake", 120))


def _mend(platform: Platform, faulty: Faulty, report: Report, told: Callable[[str], None]) -> None:
    [raw_id] = schemas_of(await_registry(platform.settings.registry), subject(_STREAM, Hop.RAW))
    now = datetime.now(UTC).isoformat()
    replays = (
        (("--reason", Reason.UNKNOWN_SCHEMA_ID), (f"read_as {raw_id}",)),
        (("--rule", "country_code"), ("upper country",)),
        (("--rule", "quantity_in_range"), ("set quantity 1",)),
        (("--rule", "amount_not_negative"), ("drop amount",)),
        (("--reason", Reason.EVENT_TIME_AHEAD), (f"set event_time {now}",)),
    )
    for chosen, fixes in replays:
        planned = _ran(platform, "replay", "plan", _STREAM, *chosen, *(f"--fix={each}" for each in fixes))
        told(f"{' '.join(chosen)}, {'; '.join(fixes)}: {planned['counts']}")
        report.replayed += _ran(platform, "replay", "run", planned["id"], "--yes")["done"]
    for reason in (Reason.NOT_AVRO, Reason.UNDECODABLE):
        report.discarded += _ran(platform, "discard", _STREAM, "--reason", reason, "--why", "no event in it", "--yes")[
            "done"
        ]
    again = _ran(platform, "replay", "plan", _STREAM)
    wanted = Counter("discarded" if fault in _HOPELESS else "replayed" for fault in faulty.by_place.values())
    if (report.replayed, report.discarded) != (wanted["replayed"], wanted["discarded"]):
        report.wrong.append(f"{report.replayed} replayed, {report.discarded} discarded; there should be {dict(wanted)}")
    if again["counts"].get("ready"):
        report.wrong.append(f"{again['counts']['ready']} records are offered for a replay again")


def _ran(platform: Platform, *arguments: str) -> dict[str, Any]:
    """What an operator's command answers, while the platform beats."""
    command = (sys.executable, "-P", "-m", "controlplane.cli", "quarantine", *arguments, "-o", "json")
    with subprocess.Popen(
        (*command, "--data", str(platform.data)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        platform.run_until(lambda: running.poll() is not None)
        said, complaint = running.communicate()
    if not said:
        raise RuntimeError(f"{' '.join(arguments)}: {complaint}")
    found: dict[str, Any] = json.loads(said)
    return found


def _balances(settings: Settings, events: int, report: Report) -> bool:
    ledgers = (
        httpx.get(f"{settings.api}/api/v1/ledger", headers=settings.authorization, timeout=5).raise_for_status().json()
    )
    [mine] = [each for each in ledgers if each["stream"] == _STREAM]
    counted = [each["produced"] for each in mine["partitions"]]
    is_all = None not in counted and sum(counted) == events + report.replayed
    return is_all and mine["verdict"] == "balanced"


def _compare(settings: Settings, faulty: Faulty, report: Report) -> None:
    mended = {faulty.event_ids[place] for place, fault in faulty.by_place.items() if fault not in _HOPELESS}
    hopeless = {faulty.event_ids[place] for place, fault in faulty.by_place.items() if fault in _HOPELESS}
    lake = DeltaTable(lake_table(settings.lake_root, _STREAM)).to_pyarrow_table(columns=["event_id"])
    with clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False) as client:
        served = client.query(f"SELECT event_id FROM {events_table(_STREAM)}").result_columns[0]  # noqa: S608 (a checked name)
    both = {"the lake": lake["event_id"].to_pylist(), "ClickHouse": served}
    for where, ids in both.items():
        report.wrong += _differences(where, ids, report.produced - len(hopeless), mended, hopeless)
    report.mended = len(mended.intersection(both["the lake"]).intersection(both["ClickHouse"]))


def _differences(where: str, ids: Iterable[str], expected: int, mended: set[str], hopeless: set[str]) -> list[str]:
    held = Counter(ids)
    wrong = [f"{where} lacks {each}" for each in sorted(mended - held.keys())]
    wrong += [f"{where} has {each} {count} times" for each, count in held.items() if count > 1]
    wrong += [f"{where} has {each}, of which nothing could be read" for each in sorted(hopeless & held.keys())]
    if held.total() != expected:
        wrong.append(f"{where} has {held.total():,} events; there should be {expected:,}")
    return wrong
