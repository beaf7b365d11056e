"""Does a backfill hold up live? Event to pixel while nothing else runs, and while days of millions of events are made again.

The whole platform runs and the console is open in Chromium, as `tidegate bench latency` has it; the shop's feed sends at a steady
rate. What is backfilled was written straight into the lake before. While a backfill runs, its Spark is frozen every other turn:
what it costs live is the difference between the turns. What is said to be `alone`, before and after, is of other minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from deltalake import DeltaTable

from controlplane.commands.credentials import local
from controlplane.contract.folders import load_stream
from controlplane.contract.names import lake_table
from controlplane.contract.operations import PATH, Operation, StageState
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench.browser import opened_console
from load_tests.bench.history import make_history
from load_tests.bench.latency import Hops, after, beat, console_of, hops_of, pictures, watched
from load_tests.bench.signed import session_of
from load_tests.bench.turns import Turns, jvms_below
from load_tests.bench.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_STREAM, _FLIGHTS = "shop", "flights"
_WARM_UP_S = 30.0
_QUIET_S = 25.0


def measure(  # noqa: PLR0913 (what is measured)
    rows: int,
    days: int,
    rate: float,
    seconds: float,
    told: Callable[[str], None],
    *,
    has_flights: bool,
    parallel: int,
    within_s: float,
    turn_s: float,
) -> dict[str, Any]:
    """Hops `alone`, while each backfill runs and while it is frozen; how long each took, and what it changed.

    One that takes longer than `within_s`, every other `turn_s` of which it is frozen, is cut short.

    Raises:
        RuntimeError: if nothing was painted, or a backfill failed.
    """
    feeds: dict[str, tuple[str, ...]] = {_STREAM: ("--rate", str(rate), "--faults", "0")}
    if has_flights:
        feeds[_FLIGHTS] = ("--speed", "0")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder), feeds=feeds, told=told) as platform:
        platform.start()
        with opened_console(console_of(platform, _STREAM), session_of(platform.settings)) as page:
            told("waiting for the lake to begin")
            beat(platform, page, until(lambda: _rows(platform, _STREAM) > 0, "the first commit of the shop", 120))
            last = make_history(
                platform.settings.lake_root, load_stream(SHIPPED_STREAMS / _STREAM), rows, days, told
            ).isoformat()
            if has_flights:
                told("waiting until every flight is in the lake")
                beat(platform, page, _quiet(lambda: _rows(platform, _FLIGHTS)))
            told(f"warming up for {_WARM_UP_S:.0f} s")
            beat(platform, page, after(_WARM_UP_S))
            told(f"watching for {seconds:.0f} s")
            found["alone"] = {"hops": watched(platform, page, after(seconds))}
            told(f"alone: {found['alone']['hops']['painted']}")
            if has_flights:
                found[_FLIGHTS] = _backfilled(
                    platform, page, told, within_s, turn_s, _FLIGHTS, "--parallel", str(parallel)
                )
            found[_STREAM] = _backfilled(
                platform, page, told, within_s, turn_s, _STREAM, "--until", last, "--parallel", str(parallel)
            )
            found["alone again"] = {"hops": watched(platform, page, after(seconds / 2))}
    return found


def _backfilled(  # noqa: PLR0913 (what is made again, and how it is watched)
    platform: Platform,
    page: Any,  # noqa: ANN401 (a page of Playwright)
    told: Callable[[str], None],
    within_s: float,
    turn_s: float,
    stream: str,
    *options: str,
) -> dict[str, Any]:
    told(f"watching while {stream} is backfilled")
    began, is_late = time.monotonic(), after(within_s)
    with _command(platform.data, stream, *options) as (child, said):
        with Turns(lambda: jvms_below(platform.pid("operations")), turn_s) as turns:

            def has_ended() -> bool:
                turns.beat()
                return child.poll() is not None or is_late()

            sides = _sides(pictures(platform, page, has_ended), turns)
        took_s = time.monotonic() - began
        for side, hops in sides.items():
            told(f"{stream}, {side}: {hops['painted']}")
        if child.poll() is None:
            told(note := _how_far(platform))
            _cancelled(platform, page)
            return {**sides, "rows": None, "took_s": round(took_s, 1), "note": note}
        words = said.read_text()
        if child.poll() != 0:
            raise RuntimeError(f"the backfill of {stream} ended with code {child.returncode}: {words[-2000:]}")
    ended = json.loads(words[words.index("{") :])
    rows = ended["plan"]["rows"]
    told(f"{rows:,} events of {stream} in {took_s:.0f} s")
    results = {each["key"]: each["result"] for each in ended["stages"]}
    spent = {
        each["key"]: [each["started_at"], each["ended_at"]] for each in ended["stages"] if "build:" not in each["key"]
    }
    compared = {key: value for key, value in results["compare"].items() if key not in ("examples", "days")}
    return {**sides, "rows": rows, "took_s": round(took_s, 1), "compared": compared, "stages": spent}


def _sides(paints: Sequence[dict[str, Any]], turns: Turns) -> dict[str, Hops]:
    """The pictures of the turns in which the operation ran, and of those in which it was frozen."""
    ran = [paint for paint in paints if turns.was_frozen(paint["at_ms"]) is False]
    frozen = [paint for paint in paints if turns.was_frozen(paint["at_ms"])]
    return {"hops": hops_of(ran), **({"frozen": hops_of(frozen)} if frozen else {})}


def _cancelled(platform: Platform, page: Any) -> None:  # noqa: ANN401 (a page of Playwright)
    """What was cut short must not run beside what is measured next."""
    settings = platform.settings
    path = f"{settings.api}{PATH}/{_newest(platform).id}/cancel"
    httpx.post(path, headers=local(settings.data), timeout=10).raise_for_status()
    beat(
        platform,
        page,
        until(lambda: _newest(platform).state.has_ended, "the operation that was cut short is cancelled", 120),
    )


def _newest(platform: Platform) -> Operation:
    settings = platform.settings
    answer = httpx.get(f"{settings.api}{PATH}", headers=settings.authorization, timeout=10).raise_for_status().json()
    return Operation.model_validate(answer["items"][0])


def _how_far(platform: Platform) -> str:
    """Of the newest operation: its state, what it waits for, and where it is."""
    newest = _newest(platform)
    counts = Counter(each.state for each in newest.stages)
    running = [f"{each.key} {each.done}/{each.total}" for each in newest.stages if each.state is StageState.RUNNING]
    stages = ", ".join(f"{number} {state}" for state, number in counts.items())
    return f"cut short while {newest.state}, waiting for {newest.waits_for}: stages {stages}; at {', '.join(running)}"


@contextmanager
def _command(data: Path, stream: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    command = [sys.executable, "-P", "-m", "controlplane.cli", "backfill", stream, "--yes", "-o", "json"]
    with tempfile.NamedTemporaryFile("w", suffix=".log") as said:
        child = subprocess.Popen([*command, "--data", str(data), *options], stdout=said, stderr=said, text=True)
        try:
            yield child, Path(said.name)
        finally:
            child.terminate()
            child.wait(30)


def _rows(platform: Platform, stream: str) -> int:
    folder = lake_table(platform.settings.lake_root, stream)
    if not DeltaTable.is_deltatable(folder):
        return 0
    return DeltaTable(folder).count()


def _quiet(count: Callable[[], int]) -> Callable[[], bool]:
    """Has a count been the same, and not 0, for a while?"""
    seen = [(-1, time.monotonic())]

    def is_quiet() -> bool:
        now = count()
        if now != seen[0][0]:
            seen[0] = (now, time.monotonic())
        return now > 0 and time.monotonic() - seen[0][1] > _QUIET_S

    return is_quiet
