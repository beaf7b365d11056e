"""The record in a real Kafka, and a real control plane that keeps it: each entry once and in order, whoever is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands.credentials import local
from controlplane.contract.audit import TOPIC
from controlplane.service.audit.chain import Wrong, judged
from controlplane.service.audit.export import Export
from controlplane.service.audit.kafka import KafkaCopy, KafkaSink
from controlplane.service.audit.keeper import Chain, CopyAwayError
from controlplane.service.audit.log import AuditLog
from controlplane.service.database import create_all, engine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from controlplane.up import Platform


@pytest.fixture(scope="module")
def platform(beating: Callable[..., AbstractContextManager[Platform]]) -> Iterator[Platform]:
    """A broker and a control plane."""
    with beating("kafka", "control") as one:
        yield one


def log_in(folder: Path) -> AuditLog:
    engine = engine_of(f"sqlite:///{folder / 'control.sqlite'}")
    create_all(engine)
    return AuditLog(engine)


def test_an_exporter_that_was_shut_out_puts_nothing_there_any_more(platform: Platform, tmp_path: Path) -> None:
    kafka, topic, log = platform.settings.kafka, f"audit-{uuid4().hex[:8]}", log_in(tmp_path)

    def add(count: int) -> None:
        for number in range(count):
            log.record("ann", "token", "query.run", f"lake-{number}")

    add(3)
    first, second = (Export(log, KafkaSink(kafka, topic)) for _ in range(2))
    first.step()
    add(2)
    second.step()
    add(2)
    with pytest.raises(CopyAwayError, match="did not take them"):
        first.step()
    second.step()
    copy = KafkaCopy(kafka, topic)
    assert [seq for seq, _ in copy.entries()] == [1, 2, 3, 4, 5, 6, 7]
    assert copy.last() == log.last()
    verdict = Chain(log, copy).walk()
    assert (verdict.holds, verdict.entries, verdict.copied) == (True, 7, 7)


def test_a_broker_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    with pytest.raises(CopyAwayError, match="does not answer"):
        Export(log, KafkaSink("127.0.0.1:1", "audit", timeout_s=0.5)).step()


def asks(platform: Platform, path: str, **said: Any) -> Any:
    """A GET that has an answer, or an order to a gate that is refused, however often the control plane was killed."""
    try:
        with httpx.Client(base_url=platform.settings.api, headers=local(platform.data), timeout=20) as client:
            if said:
                return client.post(path, json=said).json()
            return client.get(path).raise_for_status().json()
    except httpx.HTTPError:
        return None


def test_a_control_plane_that_is_killed_goes_on_where_kafka_is_and_its_chain_is_held_against_it(
    platform: Platform, eventually: Callable[..., Any]
) -> None:
    def order(number: int) -> Any:
        return asks(platform, "/api/v1/gates/orders", stream=f"none-{number}", stage="lake", order="pass")

    for number in range(20):
        order(number)
    os.kill(platform.pid("control") or 0, signal.SIGKILL)
    for number in range(20, 25):
        eventually(lambda number=number: order(number), "the control plane is there again")

    def exported() -> Any:
        found = asks(platform, "/api/v1/audit/chain?fresh=true")
        return found if found and found["verdict"]["copied"] == found["last"]["seq"] >= 25 else None

    chain = eventually(exported, "everything is in Kafka")
    assert chain["verdict"]["holds"]
    assert (chain["export"]["waiting"], chain["export"]["reason"]) == (0, None)
    copied = list(KafkaCopy(platform.settings.kafka, TOPIC).entries())
    assert [seq for seq, _ in copied] == list(range(1, chain["last"]["seq"] + 1))
    newest = asks(platform, "/api/v1/audit?limit=1")["items"][0]
    assert (newest["subject"], newest["outcome"], newest["stream"]) == ("gates/orders", "refused", "none-24")

    whole = CliRunner().invoke(cli.app, ["audit", "verify", "--data", str(platform.data)])
    assert (whole.exit_code, "held against Kafka" in whole.output) == (0, True), whole.output
    with sqlite3.connect(platform.data / "control" / "operations.sqlite") as database:
        for trigger in ("audit_no_update", "audit_no_delete"):
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("DELETE FROM audit WHERE seq > 23")
    verdict = asks(platform, "/api/v1/audit/chain?fresh=true")["verdict"]
    assert (verdict["wrong"], verdict["wrong_seq"]) == (Wrong.CUT_OFF, 24)
    cut = CliRunner().invoke(cli.app, ["audit", "verify", "--data", str(platform.data)])
    assert (cut.exit_code, "the record ends with entry 23" in cut.output) == (1, True), cut.output
    assert judged([], copied).wrong_seq == 1
