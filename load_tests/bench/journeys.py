"""A stream of real flights whose rules can be changed, and an operator who rolls it back; for a test and a bench.

`journeys` is a copy of the shipped `flights`, on a platform of its own: what is sent is known to the row, so that every table and
every view can be held against what pandas makes of the same rows.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import clickhouse_connect
import httpx
import pandas as pd
import psutil
from deltalake import DeltaTable

from controlplane.commands.credentials import local
from controlplane.contract.facts import PartState
from controlplane.contract.folders import SUITE_FILE, load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.names import lake_entity, lake_rollup, lake_table, rollup_view
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.streams import WindowKind
from controlplane.up import Platform
from load_tests.bench.followed import is_followed, is_published
from load_tests.bench.mortal import deaths
from load_tests.bench.rollups import MADE
from load_tests.bench.until import awaited
from pipeline.feed import flights
from pipeline.lake.held import held_in
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from controlplane.contract.streams import Rollup

NAME = "journeys"
PARTS = (
    "kafka", "registry", "clickhouse", "control", "route", "lake", "live", "ledger", "quality", "lag",
)  # fmt: skip
RULE, WRONG_RULE = '"regex": "^[A-Z0-9]{2}$"', '"regex": "^[A-Z]{2}$"'
"""Carriers like 9E are turned away by the wrong one."""
_T = TypeVar("_T")


@contextmanager
def journeys_in(folder: Path, dies: Collection[str]) -> Iterator[Journeys]:
    """The stream on a platform that is started for it, and stopped; operations die at these stages (`mortal`)."""
    streams = folder / "streams"
    shutil.copytree(SHIPPED_STREAMS / "flights", streams / NAME)
    environment = {
        "TIDEGATE_STREAMS": str(streams), "TIDEGATE_LAKE_TRIGGER": "1s", "TIDEGATE_TABLES_TRIGGER": "1s",
    }  # fmt: skip
    with Platform(folder / "data", only=PARTS, environment=environment, told=lambda _: None) as platform:
        platform.start()
        one = Journeys(platform, streams / NAME, dies)
        try:
            yield one
        finally:
            one.stop()


class Journeys:
    """A copy of the flights whose rules can be changed, on a platform."""

    def __init__(self, platform: Platform, folder: Path, dies: Collection[str]) -> None:
        self.platform, self.settings, self.folder = platform, platform.settings, folder
        self.stream, self.flights, self.sent = load_stream(folder), flights.table(), 0
        self.client = clickhouse_connect.get_client(dsn=self.settings.clickhouse, autogenerate_session_id=False)
        self.api = httpx.Client(
            base_url=f"{self.settings.api}/api/v1",
            headers=local(platform.data) or self.settings.authorization,
            timeout=30,
        )
        self._log = (platform.data / "worker.log").open("wb")
        command = [sys.executable, "-P", "-m", "load_tests.bench.mortal", *dies]
        env = platform._env  # noqa: SLF001 (a part of our own beside its own)
        self._worker = subprocess.Popen(command, env=env, stderr=self._log)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=platform.run_until, args=(self._stop.is_set,))
        self._thread.start()

    def wait(self, look: Callable[[], _T], what: str, within_s: float = 120.0) -> _T:
        """Until what is looked at is there.

        Raises:
            TimeoutError: if it is not in time.
        """
        return awaited(look, what, within_s)

    def stop(self) -> None:
        """End it; the platform stays."""
        self._worker.terminate()
        self._worker.wait(30)
        self._log.close()
        self._stop.set()
        self._thread.join(10)
        self.api.close()

    def send(self, count: int) -> None:
        """The next flights, in one transaction."""
        kafka, registry = self.settings.kafka, self.settings.registry
        values = [each.value for each in flights.events(self.sent, first=self.sent + count)]
        with (
            EventProducer(self.stream, kafka, registry, transactional_id=f"test-{NAME}") as producer,
            producer.transaction() as send,
        ):
            for each in values:
                send(each)
        self.sent += count

    def follows_rule(self, old: str, new: str) -> None:
        """Change the suite, and wait until route judges by it."""
        file = self.folder / SUITE_FILE
        if old not in file.read_text():
            raise ValueError(f"{file} has no {old}")
        file.write_text(file.read_text().replace(old, new, 1))
        wanted = load_stream(self.folder).fingerprint(Stage.INGEST)

        def look() -> bool:
            found = [each for each in self.facts("suite_followed") if each["stage"] == Stage.INGEST]
            return any(each["suite"] == wanted for each in found)

        self.wait(look, f"route follows {wanted}")

    def get(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 (JSON)
        """What the API answers."""
        return self.api.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        """What the API answers; a refusal with its reason.

        Raises:
            RuntimeError: for a refusal.
        """
        answer = self.api.post(path, json=body)
        if not answer.is_success:
            raise RuntimeError(f"{path}: {answer.text}")
        return answer.json()

    def asked(self, **asked: object) -> dict[str, Any]:
        """A rollback's plan."""
        body = {"kind": "rollback", "asked": {"stream": NAME, **asked}}
        return self.reaches(self.post("operations", body)["id"], "planned", "failed")

    def confirmed(self, planned: dict[str, Any]) -> None:
        """Have a plan done."""
        said = {"fingerprint": planned["plan"]["fingerprint"], "confirmation": NAME}
        self.post(f"operations/{planned['id']}/confirm", said)

    def reaches(self, number: str, *states: str) -> dict[str, Any]:
        """An operation in one of these states."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(f"operations/{number}")
            if found["state"] in ("failed", "cancelled") and found["state"] not in states:
                raise RuntimeError(f"{number} has {found['state']}: {found['reason']}")
            return found if found["state"] in states else None

        found: dict[str, Any] | None = self.wait(look, f"{number} is {' or '.join(states)}", 300)
        return found or {}

    def deaths(self, number: str) -> list[str]:
        """At which stages the process of an operation was killed."""
        return deaths(self.platform.data, number)

    def kill(self, part: str) -> None:
        """Have a part killed, and wait until it is there again."""
        before = self.platform.pid(part)
        psutil.Process(before).kill()
        self.wait(
            lambda: self.platform.pid(part) not in (None, before) and self.platform.state(part) is PartState.RUNNING,
            f"{part} runs again",
        )

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """What is known of the stream."""
        return [each for each in self.get("facts") if each["kind"] == kind and each.get("stream") == NAME]

    def events(self) -> pd.DataFrame:
        """The lake's."""
        path = lake_table(self.settings.lake_root, NAME)
        return DeltaTable(path).to_pandas() if DeltaTable.is_deltatable(path) else pd.DataFrame({"id": []})

    def version(self) -> int:
        """Of the events."""
        return DeltaTable(lake_table(self.settings.lake_root, NAME)).version()

    def settles(self, ids: set[int]) -> None:
        """The lake has exactly these, and all that follows from them is published."""

        def look() -> bool:
            return (
                held_in(lake_table(self.settings.lake_root, NAME))[0]
                and sorted(self.events().id) == sorted(ids)
                and is_followed(self.settings, NAME, "plane")
                and is_published(self.client, self.settings, NAME, MADE)
            )

        self.wait(look, f"{len(ids)} flights are in the lake, followed and published", 120)

    def ledger(self) -> dict[str, Any]:
        """The stream's account."""
        return next(each for each in self.get("ledger") if each["stream"] == NAME)

    def serves(self) -> int:
        """How many events live has."""
        return sum(each["serving"] or 0 for each in self.ledger()["partitions"])

    def windows(self, rollup: str) -> pd.DataFrame:
        """What readers of ClickHouse get."""
        return _stamped(self.client.query_df(f"SELECT * FROM {rollup_view(NAME, rollup)}"))  # noqa: S608 (a checked name)

    def agrees(self, ids: set[int], *, live: set[int]) -> None:
        """Tables, and closed windows in ClickHouse, are what pandas makes of these flights; open ones of those that live has.

        Raises:
            AssertionError: if something differs; says what.
        """
        mine, theirs = (self.flights[self.flights.id.isin(each)] for each in (ids, live))
        for rollup, make in MADE.items():
            closed = _stamped(DeltaTable(lake_table(self.settings.lake_root, NAME, lake_rollup(rollup))).to_pandas())
            keys = [each for each in ("window_start", "carrier", "origin") if each in closed.columns]
            is_closed = make(mine).set_index(keys).index.isin(closed.set_index(keys).index)
            _same(closed, make(mine)[is_closed], keys)
            views = self.windows(rollup)
            _same(views[views.layer == "batch"], make(mine)[is_closed], keys)
            _same(views[views.layer == "live"], _open(make(theirs), closed, self.stream.rollups[rollup]), keys)
        planes = DeltaTable(lake_table(self.settings.lake_root, NAME, lake_entity("plane"))).to_pandas()
        newest = mine.dropna(subset=["tailnum"]).groupby("tailnum").scheduled_at.max()
        found = planes.set_index("tailnum").scheduled_at.sort_index().astype("datetime64[ns, UTC]")
        pd.testing.assert_series_equal(found, newest.sort_index().astype("datetime64[ns, UTC]"), check_names=False)


def _open(windows: pd.DataFrame, closed: pd.DataFrame, rollup: Rollup) -> pd.DataFrame:
    """Those that begin after the last that is closed, an origin's sessions after its own last; what a rule took is in neither."""
    if rollup.window.kind is WindowKind.SESSION:
        last = windows.origin.map(closed.groupby("origin").window_start.max())
        is_open = last.isna() | (windows.window_start > last)
    else:
        is_open = windows.window_start > closed.window_start.max()
    return windows.loc[is_open]


def _stamped(frame: pd.DataFrame) -> pd.DataFrame:
    for each in ("window_start", "window_end"):
        frame[each] = pd.to_datetime(frame[each], utc=True).astype("datetime64[ns, UTC]")
    return frame


def _same(found: pd.DataFrame, expected: pd.DataFrame, keys: list[str]) -> None:
    one, other = (each[list(expected.columns)].sort_values(keys, ignore_index=True) for each in (found, expected))
    for each in (one, other):
        for column in set(each.columns) - set(keys):
            each[column] = each[column].astype("float64")
    pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-9)
