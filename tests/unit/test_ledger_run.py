"""A ledger that fails begins anew and says so; what can never go on ends the process. And what a record says, as text."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime

import pytest
from confluent_kafka import KafkaError, KafkaException
from fastavro import parse_schema, schemaless_writer

from controlplane.contract.facts import LedgerTaken, Verdict
from pipeline.ledger import run as run_module
from pipeline.ledger.payload import shown
from pipeline.ledger.run import keep_ledger

TAKEN = LedgerTaken(
    at=datetime(2026, 1, 1, tzinfo=UTC), stream="shop", partitions=(), verdict=Verdict.BALANCED, reason="all is well"
)
SCHEMA = parse_schema({"type": "record", "name": "E", "fields": [{"name": "note", "type": "string"}]})


class Ledger:
    """Takes what it is told, then stops; an exception is raised."""

    def __init__(self, stopping: threading.Event, *takes: LedgerTaken | Exception) -> None:
        self._stopping, self._takes = stopping, list(takes)
        self.closed = 0

    def take(self) -> LedgerTaken:
        each = self._takes.pop(0)
        if not self._takes:
            self._stopping.set()
        if isinstance(each, Exception):
            raise each
        return each

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_EVERY_S", 0.0)
    monkeypatch.setattr(run_module, "_AGAIN_AFTER_S", 0.0)


def test_a_failure_is_said_and_the_account_goes_on() -> None:
    stopping, reported = threading.Event(), list[LedgerTaken]()
    ledger = Ledger(stopping, TAKEN, ValueError("what is this?"), TAKEN)
    keep_ledger("shop", lambda: ledger, reported.append, stopping)
    assert [each.verdict for each in reported] == [Verdict.BALANCED, Verdict.UNKNOWN, Verdict.BALANCED]
    assert reported[1].reason == "the ledger failed and begins anew: ValueError: what is this?"
    assert ledger.closed == 2


def test_a_client_that_can_never_go_on_ends_it() -> None:
    stopping = threading.Event()
    ledger = Ledger(stopping, TAKEN, KafkaException(KafkaError(KafkaError._FATAL, "fenced", True)), TAKEN)
    with pytest.raises(KafkaException):
        keep_ledger("shop", lambda: ledger, lambda _: None, stopping)
    assert ledger.closed == 1


def framed(note: str, *, schema_id: int = 7, behind: bytes = b"") -> bytes:
    body = io.BytesIO()
    schemaless_writer(body, SCHEMA, {"note": note})
    return b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue() + behind


PAYLOADS = {
    "a-record-of-a-known-schema-is-json": (framed("größe"), '{"note": "größe"}', True),
    "a-record-of-an-unknown-schema-is-bytes": (framed("a", schema_id=8), "00000000080261", False),
    "bytes-behind-a-record-make-it-none": (framed("a", behind=b"!"), "0000000007026121", False),
    "what-is-not-framed-is-bytes": (b"abc", "616263", False),
    "a-truncated-record-is-bytes": (framed("abc")[:-1], "0000000007066162", False),
    "nothing-is-nothing": (None, "", False),
}


@pytest.mark.parametrize("case", PAYLOADS)
def test_a_payload_is_shown(case: str) -> None:
    value, text, is_decoded = PAYLOADS[case]
    assert shown(value, {7: SCHEMA}.get) == (text, is_decoded)


def test_a_long_payload_is_shortened() -> None:
    text, is_decoded = shown(framed("x" * 5000), {7: SCHEMA}.get)
    assert (len(text), text[-1], is_decoded) == (400, "…", True)
