"""Who is on which version is known of the running platform: the producer by its name, every part that reads or writes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from controlplane.contract.refusals import SchemaRefusedError
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition


def on(running: Any) -> dict[str, set[tuple[int, str]]]:
    """By what they do: (version, who)."""
    raw, valid = (
        httpx.get(f"{running.settings.api}/api/v1/schemas/shop", headers=running.settings.authorization, timeout=5)
        .raise_for_status()
        .json()["subjects"]
    )
    found: dict[str, set[tuple[int, str]]] = {}
    for subject in (raw, valid):
        for version in subject["versions"]:
            for does, name in (("producers", "producer"), ("readers", "reader"), ("writers", "reader")):
                who = {(version["version"], each[name]) for each in version[does]}
                found.setdefault(f"{subject['hop']} {does}", set()).update(who)
    return found


def test_a_producer_and_every_part_are_known_with_their_version(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    name, settings, now = f"test-{uuid4().hex}", running.settings, datetime.now(UTC)
    with (
        EventProducer(shop, settings.kafka, settings.registry, transactional_id=name) as producer,
        producer.transaction() as send,
    ):
        send(event(12, 1, 0.0, now).value)
    found = eventually(
        lambda: (all_on := on(running)) and (1, name) in all_on["raw producers"] and all_on, "the producer is seen"
    )
    newest = max(version for version, who in found["raw readers"] if who == "route")
    assert newest >= 1
    assert {who for _, who in found["valid readers"]} == {"lake", "live"}
    assert {who for _, who in found["valid writers"]} == {"route"}


def test_a_producer_whose_schema_is_refused_hears_which_field_and_what_to_do(
    running: Any, shop: StreamDefinition
) -> None:
    settings, fields = running.settings, shop.avro_schema["fields"]
    other = {**shop.avro_schema, "fields": [*fields, {"name": "x", "type": "int"}]}
    stream = shop.model_copy(update={"avro_schema": other})
    name = f"test-{uuid4().hex}"
    with (
        EventProducer(stream, settings.kafka, settings.registry, transactional_id=name) as producer,
        pytest.raises(SchemaRefusedError, match="`x` is added as int, without a default"),
        producer.transaction() as send,
    ):
        send({**event(13, 1, 0.0, datetime.now(UTC)).value, "x": 1})


def test_the_command_asks_the_registry_of_the_running_platform(
    running: Any, shop: StreamDefinition, tmp_path: Any
) -> None:
    file = tmp_path / "next.avsc"
    fields = shop.avro_schema["fields"]
    file.write_text(json.dumps({**shop.avro_schema, "fields": [*fields, {"name": "x", "type": "int"}]}))
    command = [sys.executable, "-P", "-m", "controlplane.cli", "schema"]
    there = ["--data", str(running.settings.data)]
    checked = subprocess.run(
        [*command, "check", "shop", str(file), *there], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, "`x` is added as int, without a default: events of version" in checked.stdout) == (
        1,
        True,
    )
    assert "x at /fields/" in checked.stdout
    listed = subprocess.run([*command, "ls", "-o", "json", *there], capture_output=True, text=True, check=True)
    assert {"shop.raw-value", "shop.valid-value", "flights.raw-value"} <= {
        each["subject"] for each in json.loads(listed.stdout) if each["compatibility"] == "BACKWARD"
    }
