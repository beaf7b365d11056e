"""What is turned away is kept once, can be fixed and replayed once, and comes back with its history when it fails again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pyarrow.compute as pc
from confluent_kafka import TopicPartition
from deltalake import DeltaTable

from controlplane.contract.names import REJECTS, lake_table
from pipeline.feed.event import Fault, spoil
from pipeline.feed.shop import event
from pipeline.kafka import consumer, read_range, watermarks
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controlplane.contract.streams import StreamDefinition

Json = dict[str, Any]


class Quarantine:
    """The API as the console asks it, and the topics behind it."""

    def __init__(self, running: Any, shop: StreamDefinition, eventually: Callable[..., Any]) -> None:
        self.settings, self.running, self.shop, self.eventually = running.settings, running, shop, eventually
        self.mark = f"m{uuid4().hex[:10]}"
        """In each event of this test, so that it finds its own."""
        self.at = f"{self.settings.api}/api/v1/quarantine"

    def send(self, events: Iterable[Json | bytes]) -> None:
        settings = self.settings
        name = f"test-{uuid4().hex}"
        with (
            EventProducer(self.shop, settings.kafka, settings.registry, transactional_id=name) as producer,
            producer.transaction() as send,
        ):
            for each in events:
                send(each)

    def good(self, number: int) -> Json:
        value = event(77, number, 0.0, datetime.now(UTC)).value
        return {**value, "session_id": f"{self.mark}-{number:06d}"}

    def encoded(self, value: Json) -> bytes:
        settings = self.settings
        with EventProducer(self.shop, settings.kafka, settings.registry, transactional_id=uuid4().hex) as producer:
            return producer.encode(value)

    def get(self, path: str, **params: Any) -> Any:
        return (
            httpx.get(f"{self.at}/{path}", params=params, headers=self.settings.authorization, timeout=20)
            .raise_for_status()
            .json()
        )

    def post(self, path: str, body: Json) -> Any:
        return (
            httpx.post(f"{self.at}/{path}", json=body, headers=self.settings.authorization, timeout=20)
            .raise_for_status()
            .json()
        )

    def mine(self, **params: Any) -> list[Json]:
        return self.get("streams/shop/records", text=self.mark, limit=500, **params)["records"]

    def await_mine(self, count: int, **params: Any) -> list[Json]:
        return self.eventually(
            lambda: (found := self._try_mine(**params)) and len(found) == count and found, f"{count} of {self.mark}"
        )

    def _try_mine(self, **params: Any) -> list[Json]:
        try:
            return self.mine(**params)
        except httpx.HTTPError:  # quality is starting again
            return []

    def plan(self, **asked: Any) -> Json:
        work = self.post("streams/shop/replays", {"selection": {"text": self.mark}, **asked})
        return self.await_state(work["id"], "planned", "failed")

    def await_state(self, work: str, *states: str) -> Json:
        def look() -> Json | None:
            try:
                found = self.get(f"replays/{work}")
            except httpx.HTTPError:
                return None
            return found if found["state"] in states else None

        found: Json = self.eventually(look, f"replay {work} is {' or '.join(states)}")
        return found

    def run(self, work: str, rate: float | None = None) -> Json:
        self.post(f"replays/{work}/run", {"rate": rate})
        return self.await_state(work, "done", "failed")

    def sessions(self, name: str) -> Counter[str]:
        """How often each of this test's events is in a topic, by its session."""
        client = consumer(self.settings.kafka)
        found: Counter[str] = Counter()
        partitions = client.list_topics(name, timeout=10).topics[name].partitions
        for partition, (low, high) in watermarks(client, name, partitions).items():
            end = client.get_watermark_offsets(TopicPartition(name, partition), timeout=10, cached=False)[1]
            for message in read_range(client, name, partition, low, min(high, end)):
                value = message.value() or b""
                at = value.find(self.mark.encode())
                if at >= 0:
                    found[value[at : at + len(self.mark) + 7].decode("utf-8", "replace")] += 1
        client.close()
        return found

    def command(self, *words: str) -> Any:
        """What `tidegate quarantine` says, as JSON."""
        command = [sys.executable, "-P", "-m", "controlplane.cli", "quarantine", *words, "-o", "json"]
        there = ["--data", str(self.settings.data)]
        return json.loads(subprocess.run([*command, *there], capture_output=True, text=True, check=True).stdout)

    def kill(self) -> None:
        parts = httpx.get(f"{self.settings.api}/api/v1/parts", headers=self.settings.authorization, timeout=5).json()
        pid = next(each["pid"] for each in parts if each["part"] == "quality")
        os.kill(pid, signal.SIGKILL)


def test_what_is_turned_away_is_fixed_and_replayed_once_and_what_fails_again_comes_back_with_its_history(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    inbox = Quarantine(running, shop, eventually)
    good = [inbox.good(number) for number in range(6)]
    bodies = [inbox.encoded(each) for each in good]
    inbox.send(
        [
            {**good[0], "quantity": 0},
            {**good[1], "quantity": 0},
            {**good[2], "country": "de"},
            spoil(bodies[3], Fault.UNKNOWN_SCHEMA_ID),
            bodies[4][:-4],
            good[5],
        ]
    )
    records = inbox.await_mine(5)
    assert Counter((each["hop"], each["reason"], each["rules"]) for each in records) == {
        ("quarantine", "rule_broken", "quantity_in_range"): 2,
        ("quarantine", "rule_broken", "country_code"): 1,
        ("dead", "unknown_schema_id", ""): 1,
        ("dead", "undecodable", ""): 1,
    }
    groups = inbox.get("streams/shop/groups", text=inbox.mark)
    assert groups["counts"] == {"total": 5, "waiting": 5, "replayed": 0, "discarded": 0}

    cut = next(each for each in records if each["reason"] == "undecodable")
    payload = inbox.get(f"streams/shop/records/{cut['id']}")["payload"]
    assert (payload["how"], payload["breaks_at"]) == ("partly", "event_time")
    assert json.loads(payload["json"])["session_id"] == good[4]["session_id"]

    plan = inbox.plan(steps=[{"kind": "set", "field": "quantity", "value": 1}])
    assert plan["counts"] == {"ready": 2, "broken": 1, "undecoded": 2}, plan
    assert plan["broken"]["country_code"] == 1
    done = inbox.run(plan["id"])
    assert (done["state"], done["done"], done["skipped"]) == ("done", 2, 3)
    eventually(lambda: sum(inbox.sessions("shop.valid").values()) == 3, "the fixed ones are valid")
    assert len(inbox.mine(status="waiting")) == 3

    again = inbox.plan(steps=[{"kind": "set", "field": "quantity", "value": 1}], even_if_broken=True)
    assert again["counts"] == {"broken": 1, "undecoded": 2, "done": 2}
    assert inbox.run(again["id"])["done"] == 1
    records = inbox.await_mine(6)
    newest = max(records, key=lambda each: each["rejected_at"])
    history = inbox.get(f"streams/shop/records/{newest['id']}")["history"]
    assert [each["attempt"] for each in history] == [1, 2]
    assert (history[1]["id"], history[1]["status"]) == (newest["id"], "waiting")
    assert history[0]["marker"]["replay"] == again["id"]

    schema_id = int.from_bytes(bodies[3][1:5], "big")
    read_as = inbox.plan(
        steps=[{"kind": "read_as", "schema_id": schema_id}], selection={"text": inbox.mark, "hop": "dead"}
    )
    assert read_as["counts"] == {"ready": 1, "undecoded": 1}
    assert inbox.run(read_as["id"])["done"] == 1

    discard = inbox.plan(action="discard", why="a test", selection={"ids": [cut["id"]]})
    assert inbox.run(discard["id"])["done"] == 1
    assert Counter(each["status"] for each in inbox.mine()) == {"replayed": 4, "waiting": 1, "discarded": 1}
    assert inbox.get(f"streams/shop/records/{cut['id']}")["history"][0]["marker"]["why"] == "a test"
    assert inbox.plan(selection={"ids": [cut["id"]]})["counts"] == {"done": 1}


def test_records_are_kept_once_and_replayed_once_though_quality_is_killed_midway(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    inbox = Quarantine(running, shop, eventually)
    count = 400
    inbox.send({**inbox.good(number), "quantity": 0} for number in range(count // 2))
    eventually(lambda: sum(inbox.sessions("shop.quarantine").values()) >= 50, "some are quarantined")
    inbox.kill()
    inbox.send({**inbox.good(number), "quantity": 0} for number in range(count // 2, count))
    inbox.await_mine(count)
    table = DeltaTable(lake_table(inbox.settings.lake_root, "shop", REJECTS)).to_pyarrow_table(columns=["id"])
    assert table.num_rows == pc.count_distinct(table["id"]).as_py()

    plan = inbox.plan(
        steps=[{"kind": "default", "field": "amount", "value": None}, {"kind": "set", "field": "quantity", "value": 2}]
    )
    assert plan["counts"] == {"ready": count}
    inbox.post(f"replays/{plan['id']}/run", {"rate": 100})
    eventually(lambda: inbox.get(f"replays/{plan['id']}")["done"] >= 100, "a quarter is done")
    inbox.kill()
    done = inbox.await_state(plan["id"], "done", "failed")
    assert (done["state"], done["done"], done["skipped"]) == ("done", count, 0)
    eventually(lambda: sum(inbox.sessions("shop.valid").values()) >= count, "all are valid")
    found = inbox.sessions("shop.valid")
    assert (len(found), set(found.values())) == (count, {1})


DIES_BEFORE_COMMIT = """
import os, signal, sys
from datetime import UTC, datetime
from controlplane.contract.folders import load_stream
from controlplane.contract.replays import Marker, Status
from controlplane.contract.settings import SHIPPED_STREAMS
from quality.inbox.markers import Markers
from quality.replay import writer
from quality.replay.writer import Outgoing, ReplayWriter

kafka, record, value = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3])
writer._commit = lambda producer: os.kill(os.getpid(), signal.SIGKILL)
one = ReplayWriter(kafka, load_stream(SHIPPED_STREAMS / "shop"), Markers())
one.begin()
at = datetime.now(UTC)
one.write([Outgoing(record, b"k", value)], lambda _, raw: Marker(replay="dead", action=Status.REPLAYED, raw=raw, at=at))
"""


def test_a_replay_killed_between_its_events_and_its_commit_has_done_nothing_and_is_done_by_the_next(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    inbox = Quarantine(running, shop, eventually)
    value = {**inbox.good(1), "quantity": 0}
    inbox.send([value])
    record = inbox.await_mine(1)[0]["id"]
    fixed = inbox.encoded({**value, "quantity": 1}).hex()
    command = [sys.executable, "-P", "-c", DIES_BEFORE_COMMIT, inbox.settings.kafka, record, fixed]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    plan = inbox.command("replay", "plan", "shop", "--id", record, "--fix", "set quantity 1")
    assert (plan["counts"], plan["state"]) == ({"ready": 1}, "planned")
    assert inbox.command("replay", "run", plan["id"], "--yes")["done"] == 1
    assert inbox.command("show", "shop", record)["status"] == "replayed"
    assert [each["counts"]["replayed"] for each in inbox.command("ls", "shop", "--text", inbox.mark)] == [1]
    eventually(lambda: sum(inbox.sessions("shop.valid").values()) >= 1, "it is valid")
    assert set(inbox.sessions("shop.valid").values()) == {1}
    assert set(inbox.sessions("shop.raw").values()) == {2}, "the first, turned away, and the replayed one"
