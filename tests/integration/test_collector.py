"""Events over HTTP on the real platform: each arrives once, a key holds until it is taken back, and two never send as one."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import clickhouse_connect
import fastavro
import httpx
import pytest
from confluent_kafka.admin import NewTopic

from controlplane.contract.access import LOCAL_TOKEN, authorization, service_token
from pipeline.collector.answers import Record
from pipeline.collector.kafka import KafkaLog, LostError
from pipeline.feed.shop import event
from pipeline.kafka import await_broker, consumer, read_range, watermarks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition


@pytest.fixture
def owner(running: Any) -> dict[str, str]:
    return authorization(service_token(running.platform.data / LOCAL_TOKEN))


def events(mark: str, numbers: range) -> list[dict[str, Any]]:
    """Of a session of their own; times as milliseconds since 1970."""
    made = [event(91, number, 0.0, datetime.now(UTC)).value for number in numbers]
    return [
        {**each, "session_id": f"{mark}-{number}", "event_time": round(each["event_time"].timestamp() * 1000)}
        for number, each in zip(numbers, made, strict=True)
    ]


def test_what_is_sent_as_json_lines_and_avro_arrives_once(
    running: Any, shop: StreamDefinition, owner: dict[str, str], eventually: Callable[..., Any], tmp_path: Path
) -> None:
    settings, mark = running.settings, f"c{uuid4().hex[:8]}"
    url = f"{settings.collector}/v1/streams/shop/events"
    whole, packed, lines, broken = (events(mark, range(begin, begin + 40)) for begin in (0, 40, 80, 120))
    file = io.BytesIO()
    fastavro.writer(file, shop.avro_schema, packed, codec="deflate")
    with httpx.Client(headers=owner, timeout=30) as client:
        asked = {"content": gzip.compress(json.dumps(whole).encode()), "headers": {"Content-Encoding": "gzip"}}
        assert client.post(url, **asked).json() == {"taken": 40}
        assert (
            client.post(url, content=file.getvalue(), headers={"Content-Type": "application/avro"}).status_code == 202
        )
        broken[7]["quantity"] = "many"
        refused = client.post(url, json=broken)
        assert (refused.status_code, refused.json()["mistakes"][0]["index"]) == (400, 7)
        assert client.post(url, json=whole, headers={"Authorization": "Bearer tg_nobody"}).status_code == 401
    feed = tmp_path / "events.jsonl"
    feed.write_text("\n".join(map(json.dumps, lines)))
    command = [
        sys.executable,
        "-P",
        "-m",
        "controlplane.cli",
        "send",
        "shop",
        str(feed),
        "--data",
        running.platform.data,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "40 events were taken\n"), done.stderr
    with clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False) as serving:
        sql = "SELECT count(), uniqExact(session_id) FROM shop_events WHERE startsWith(session_id, {mark:String})"
        eventually(
            lambda: serving.query(sql, {"mark": mark}).result_rows == [(120, 120)], "each is in ClickHouse, once"
        )


def test_a_key_holds_until_it_is_taken_back(
    running: Any, owner: dict[str, str], eventually: Callable[..., Any]
) -> None:
    api, url = f"{running.settings.api}/api/v1", f"{running.settings.collector}/v1/streams"
    name = f"k{uuid4().hex[:8]}"
    made = httpx.post(f"{api}/users/keys", json={"name": name, "streams": ["shop"]}, headers=owner).json()
    key = authorization(made["token"])
    example = httpx.get(f"{url}/shop", headers=key).json()["example"]
    assert httpx.post(f"{url}/shop/events", json=[], headers=key).status_code == 400
    assert httpx.post(f"{url}/flights/events", json=example, headers=key).status_code == 403
    httpx.delete(f"{api}/tokens/{made['id']}", headers=owner).raise_for_status()
    eventually(lambda: httpx.get(f"{url}/shop", headers=key).status_code == 401, "it is refused", 10)
    noted = httpx.get(f"{api}/audit", params={"subject": made["id"]}, headers=owner).json()
    assert {"key.make", "token.revoke"} <= {each["action"] for each in noted["items"]}


def test_of_two_collectors_of_one_name_the_later_one_sends(running: Any) -> None:
    """What the first one had open is nobody's, and it is told who sends now."""
    kafka, name = running.settings.kafka, f"test-{uuid4().hex}"
    admin = await_broker(kafka)
    admin.create_topics([NewTopic(name, 1)])[name].result(10)
    record = Record(name, "a", b"", "test")
    first = KafkaLog(kafka, name)
    first.commit([record])
    KafkaLog(kafka, name).commit([record])
    with pytest.raises(LostError, match="TIDEGATE_COLLECTOR_ID"):
        first.commit([record])
    reads = consumer(kafka, group=name)
    assert len(read_range(reads, name, 0, 0, watermarks(reads, name, [0])[0][1])) == 2
    reads.close()
