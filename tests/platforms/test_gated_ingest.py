"""Route's gate on a real platform: a new suite, a broken one, a flood and its end, all in one process of route."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.contract.folders import SUITE_FILE, load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.names import HEADER_RULES, HEADER_SOURCE, HEADER_SUITE, Hop, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from pipeline.feed.shop import event
from pipeline.kafka import OUTPUT_HOPS, consumer, read_range, watermarks
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from confluent_kafka import Message

NAME = "kiosk"
PARTS = ("kafka", "registry", "control", "route")
GATES = """
gates:
  ingest:
    breaker: {window: 20s, least: 300, pause: 1h}
"""


class Kiosk:
    """A copy of the shop whose suite can be changed, on a platform."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.platform, self.settings, self.folder = platform, platform.settings, folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=platform.run_until, args=(self._stop.is_set,))
        self._thread.start()
        self._stream, self._number = load_stream(folder), 0

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    @property
    def fingerprint(self) -> str:
        """Of the ingest suite as it is written now."""
        return load_stream(self.folder).fingerprint(Stage.INGEST)

    def change(self, old: str, new: str) -> None:
        file = self.folder / SUITE_FILE
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    def send(self, count: int, **fields: Any) -> None:
        kafka, registry = self.settings.kafka, self.settings.registry
        with (
            EventProducer(self._stream, kafka, registry, transactional_id=f"test-{NAME}") as producer,
            producer.transaction() as send,
        ):
            for _ in range(count):
                self._number += 1
                send({**event(1, self._number, 0.0, datetime.now(UTC)).value, **fields})

    def landed(self, hop: Hop) -> list[Message]:
        name, client = topic(NAME, hop), consumer(self.settings.kafka, group="test")
        ends = watermarks(client, name, range(4))
        found = [each for part, (low, high) in ends.items() for each in read_range(client, name, part, low, high)]
        client.close()
        return found

    def count(self, hop: Hop) -> int:
        return len(self.landed(hop))

    def fact(self, kind: str) -> Any:
        facts = httpx.get(f"{self.settings.api}/api/v1/facts", headers=self.settings.authorization, timeout=5).json()
        return next((each for each in facts if each["kind"] == kind and each["stream"] == NAME), None)

    def stands(self, state: str) -> Any:
        fact = self.fact("breaker_changed")
        return fact if fact is not None and fact["state"] == state else None

    def said_by_route(self) -> str:
        parts = httpx.get(
            f"{self.settings.api}/api/v1/overview", headers=self.settings.authorization, timeout=5
        ).json()["parts"]
        return next(f"{each['reason']}" for each in parts if each["part"] == "route")

    def command(self, *words: str) -> str:
        found = CliRunner().invoke(cli.app, ["gate", *words, "--data", str(self.platform.data)])
        assert found.exit_code == 0, found.output
        return found.output

    def problems(self) -> list[str]:
        found = httpx.get(
            f"{self.settings.api}/api/v1/overview", headers=self.settings.authorization, timeout=5
        ).json()["problems"]
        return [
            f"{each['subject']} {each['reason']}" for each in found if each["subject"].startswith(("ingest", "suites"))
        ]


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    streams = tmp_path_factory.mktemp("streams")
    shutil.copytree(SHIPPED_STREAMS / "shop", streams / NAME)
    written = streams / NAME / "stream.yaml"
    written.write_text(written.read_text() + GATES)
    environment = {"TIDEGATE_STREAMS": str(streams)}
    with Platform(
        tmp_path_factory.mktemp("platform"), only=PARTS, environment=environment, told=lambda _: None
    ) as platform:
        platform.start()
        one = Kiosk(platform, streams / NAME)
        yield one
        one.stop()


def headers(record: Message) -> dict[str, str]:
    return {key: (value or b"").decode() for key, value in record.headers() or ()}


def test_a_new_suite_judges_and_a_broken_one_does_not_without_a_restart(
    kiosk: Kiosk, eventually: Callable[..., Any]
) -> None:
    pid, first = kiosk.platform.pid("route"), kiosk.fingerprint
    kiosk.send(1, quantity=55)
    [record] = eventually(lambda: kiosk.landed(Hop.QUARANTINE), "a quarantined record")
    assert headers(record)[HEADER_RULES] == "quantity_in_range"
    assert headers(record)[HEADER_SUITE] == first

    kiosk.change('"min_value": 1, "max_value": 50', '"min_value": 1, "max_value": "plenty"')
    [refused] = eventually(kiosk.problems, "a refusal on the console")
    assert refused.startswith(f"suites of {NAME} are refused (ingest)")
    kiosk.send(1, quantity=55)
    eventually(lambda: kiosk.count(Hop.QUARANTINE) == 2, "the suite of before still judges")
    assert kiosk.fact("suite_followed")["suite"] == first

    kiosk.change('"max_value": "plenty"', '"max_value": 60')
    second = kiosk.fingerprint
    eventually(lambda: kiosk.fact("suite_followed")["suite"] == second, "the new suite is in use")
    assert not kiosk.problems()
    kiosk.send(1, quantity=55)
    eventually(lambda: kiosk.count(Hop.VALID) == 1, "a valid record")
    assert kiosk.count(Hop.QUARANTINE) == 2
    assert kiosk.platform.pid("route") == pid


def test_a_flood_pauses_route_through_a_kill_until_an_operator_resumes_and_nothing_is_lost(
    kiosk: Kiosk, eventually: Callable[..., Any]
) -> None:
    pid, before = kiosk.platform.pid("route"), kiosk.count(Hop.QUARANTINE)
    kiosk.send(500, quantity=0)
    fact = eventually(lambda: kiosk.stands("open"), "the breaker is open")
    assert fact["turned_away"] >= 300
    assert "records were turned away within 20 s" in fact["reason"]
    [problem] = kiosk.problems()
    assert problem.startswith(f"ingest of {NAME} pauses until")
    landed = kiosk.count(Hop.QUARANTINE)
    kiosk.send(40)
    eventually(lambda: "is paused until" in kiosk.said_by_route(), "so its part says")
    os.kill(pid, signal.SIGKILL)
    again = eventually(
        lambda: kiosk.platform.pid("route") not in (None, pid) and kiosk.platform.pid("route"), "it is up"
    )
    eventually(lambda: "is paused until" in kiosk.said_by_route(), "it is paused still")
    assert kiosk.stands("open")["since"] == fact["since"]
    assert kiosk.count(Hop.VALID) == 1, "nothing passes"
    assert kiosk.count(Hop.QUARANTINE) == landed
    assert "open" in kiosk.command("ls")
    assert "resume is ordered" in kiosk.command("resume", NAME, "ingest")
    eventually(lambda: kiosk.count(Hop.VALID) == 41, "what came meanwhile passes")
    assert kiosk.platform.pid("route") == again
    assert kiosk.count(Hop.QUARANTINE) == before + 500
    sources = Counter(headers(each)[HEADER_SOURCE] for hop in OUTPUT_HOPS for each in kiosk.landed(hop))
    assert len(sources) == 543
    assert set(sources.values()) == {1}, "each record once"
