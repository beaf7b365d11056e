"""A real control plane and a real worker: what is asked for is planned, confirmed, run in its own process, and outlives kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from controlplane.contract.facts import FACTS
from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict
from controlplane.contract.names import Hop
from controlplane.contract.operations import PATH
from controlplane.up import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASKED = {
    "trial": {"stream": "flights", "folder": "x", "since": "2013-01-01T00:00:00Z", "until": "2013-01-03T00:00:00Z"},
    "backfill": {"stream": "flights", "max_lag_s": 10},
}
"""A trial is not paced by live's lag, which nobody measures here."""
BUILD = "build:2013-01-01"
WORKER = Path(__file__).with_name("operating.py")


class Operators:
    """A control plane under its supervisor, a worker, and who asks."""

    def __init__(self, platform: Platform, eventually: Callable[..., Any]) -> None:
        self.platform, self.data, self.eventually = platform, platform.data, eventually
        self.client = httpx.Client(base_url=platform.settings.api, headers=platform.settings.authorization, timeout=30)
        self.log = (platform.data / "worker.log").open("wb")
        self.worker = self.start_worker()

    def start_worker(self) -> subprocess.Popen[bytes]:
        self.worker = subprocess.Popen([sys.executable, "-P", WORKER], env=self.platform._env, stderr=self.log)
        return self.worker

    def planned(self, kind: str = "trial") -> dict[str, Any]:
        answer = self.client.post(PATH, json={"kind": kind, "asked": ASKED[kind]})
        assert answer.status_code == 202, answer.text
        return self.get(answer.headers["location"].rsplit("/", 1)[1], "planned")

    def confirm(self, planned: dict[str, Any]) -> str:
        said = {"fingerprint": planned["plan"]["fingerprint"], "confirmation": "flights"}
        answer = self.client.post(f"{PATH}/{planned['id']}/confirm", json=said)
        assert answer.status_code == 202, answer.text
        return str(planned["id"])

    def begun(self, kind: str = "trial") -> str:
        return self.confirm(self.planned(kind))

    def get(self, number: str, *states: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = self.client.get(f"{PATH}/{number}?wait=1").raise_for_status().json()
            except httpx.HTTPError:
                return None  # the control plane starts anew
            assert found["state"] in states or found["state"] not in ("failed", "cancelled"), found["reason"]
            return found if found["state"] in states else None

        return self.eventually(look, f"{number} is {' or '.join(states)}")

    def step(self, number: str, name: str) -> dict[str, Any]:
        answer = self.client.post(f"{PATH}/{number}/{name}")
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def did(self, number: str) -> list[str]:
        file = self.data / "did"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [what for by, what in lines if by == number]

    def judge(self, lag_s: float) -> None:
        """What a lag monitor would report of the stream."""
        queries = (("route flights", Hop.VALID), ("live flights", Hop.SERVING))
        facts = [
            LagJudged(
                at=datetime.now(UTC),
                consumer=name,
                consumer_kind=ConsumerKind.QUERY,
                topic="flights.raw",
                stream="flights",
                hop=hop,
                lag_s=lag_s,
                verdict=LagVerdict.OK,
            )
            for name, hop in queries
        ]
        self.client.post("/api/v1/facts", content=FACTS.dump_json(facts)).raise_for_status()

    def child(self) -> psutil.Process | None:
        return next(iter(psutil.Process(self.worker.pid).children()), None)

    def close(self) -> None:
        self.worker.terminate()
        self.worker.wait(30)
        self.log.close()
        self.client.close()


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]) -> Iterator[Operators]:
    with Platform(tmp_path_factory.mktemp("operations"), only=("control",), told=lambda _: None) as platform:
        platform.start()
        stop = threading.Event()
        beating = threading.Thread(target=platform.run_until, args=(stop.is_set,), daemon=True)
        beating.start()
        one = Operators(platform, eventually)
        yield one
        one.close()
        stop.set()
        beating.join(10)


def held(operators: Operators, key: str) -> Path:
    """A stage that waits until the file is gone."""
    file = operators.data / f"hold-{key}"
    file.touch()
    return file


def test_an_operation_is_planned_confirmed_done_and_undone(operators: Operators) -> None:
    planned = operators.planned()
    assert [stage["key"] for stage in planned["plan"]["stages"]] == ["first", BUILD, "build:2013-01-02", "last"]
    assert operators.did(planned["id"]) == []
    operators.confirm(planned)
    done = operators.get(planned["id"], "done")
    assert (done["result"], {stage["state"] for stage in done["stages"]}) == ({"rows": 20}, {"done"})
    did = operators.did(done["id"])
    assert (did[:3], did[-2:], len(did)) == (["basis", "begin first", "end first"], ["begin last", "end last"], 9)
    undoing = operators.step(done["id"], "undo")
    operators.get(operators.confirm(operators.get(undoing["id"], "planned")), "done")
    assert operators.get(done["id"], "done")["undone_by"] == undoing["id"]


def test_a_command_follows_it_and_ends_as_it_does(operators: Operators) -> None:
    hold = held(operators, BUILD)
    number = operators.begun()
    command = [sys.executable, "-P", "-m", "controlplane.cli", "operations", "watch", number, "-o", "json"]
    watching = subprocess.Popen([*command, "--data", operators.data], stdout=subprocess.PIPE, text=True)
    operators.get(number, "running")
    hold.unlink()
    said, _ = watching.communicate(timeout=60)
    assert (watching.returncode, json.loads(said)["state"]) == (0, "done")


def test_a_killed_process_goes_on_where_it_was_and_does_nothing_twice(
    operators: Operators, eventually: Callable[..., Any]
) -> None:
    hold = held(operators, BUILD)
    number = operators.begun()
    eventually(lambda: {f"begin {BUILD}", "end build:2013-01-02"} <= set(operators.did(number)), "one of two is built")
    eventually(
        lambda: operators.get(number, "running")["stages"][2]["state"] == "done", "the control plane knows of it"
    )
    child = operators.child()
    assert child is not None
    child.kill()
    eventually(lambda: operators.did(number).count(f"begin {BUILD}") == 2, "its stage is begun again")
    hold.unlink()
    assert operators.get(number, "done")["attempts"] == 3, "one to plan, two to run"
    did = operators.did(number)
    assert (did.count("begin first"), did.count("begin build:2013-01-02"), did.count(f"end {BUILD}")) == (1, 1, 1)


def test_a_killed_worker_takes_its_process_along_and_a_new_one_goes_on(
    operators: Operators, eventually: Callable[..., Any]
) -> None:
    hold = held(operators, BUILD)
    number = operators.begun()
    eventually(lambda: f"begin {BUILD}" in operators.did(number), "it is built")
    child = operators.child()
    assert child is not None
    os.kill(operators.worker.pid, signal.SIGKILL)
    operators.worker.wait()
    eventually(lambda: not child.is_running(), "nobody builds behind the new worker's back")
    operators.start_worker()
    eventually(lambda: operators.did(number).count(f"begin {BUILD}") == 2, "the new one does not wait for the lease")
    hold.unlink()
    operators.get(number, "done")


def test_a_control_plane_that_was_killed_hears_what_was_done_meanwhile(
    operators: Operators, eventually: Callable[..., Any]
) -> None:
    hold = held(operators, BUILD)
    number = operators.begun()
    eventually(lambda: f"begin {BUILD}" in operators.did(number), "it is built")
    was = operators.platform.pid("control")
    assert was is not None
    os.kill(was, signal.SIGKILL)
    hold.unlink()
    eventually(lambda: operators.platform.pid("control") not in (None, was), "it is started again")
    assert operators.get(number, "done")["attempts"] == 2, "one to plan, one to run"
    assert operators.did(number).count(f"begin {BUILD}") == 1


def test_a_pause_frees_the_process_and_a_cancel_cleans_up(operators: Operators, eventually: Callable[..., Any]) -> None:
    hold = held(operators, BUILD)
    number = operators.begun()
    eventually(lambda: f"begin {BUILD}" in operators.did(number), "it is built")
    assert operators.step(number, "pause")["wish"] == "pause"
    operators.get(number, "paused")
    eventually(lambda: operators.child() is None, "its memory is free")
    operators.step(number, "resume")
    eventually(lambda: operators.did(number).count(f"begin {BUILD}") == 2, "it goes on")
    operators.step(number, "cancel")
    operators.get(number, "cancelled")
    hold.unlink()
    assert operators.did(number)[-1] == "clean_up"
    assert f"end {BUILD}" not in operators.did(number)


def test_a_backfill_waits_while_live_is_behind_or_nobody_knows(operators: Operators) -> None:
    number = operators.begun("backfill")

    def waits(said: str) -> bool:
        return said in str(operators.get(number, "running")["waits_for"])

    operators.eventually(lambda: waits("unknown"), "it waits for a lag that nobody has measured")
    operators.judge(20.0)
    operators.eventually(lambda: waits("20.0 s behind"), "it waits for live")
    operators.judge(1.0)
    assert operators.get(number, "done")["waits_for"] is None
