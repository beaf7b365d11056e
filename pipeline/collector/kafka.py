"""How do events get into Kafka, all of a transaction or none? By one producer, fenced by its transactional id.

What cannot be sent is taken back before anything else is sent, so it is never kept after it was said that it is not. Between asking
for a commit and hearing of it there is a moment in which a broker that goes away leaves open whether it has been: that is said too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from controlplane.contract.names import HEADER_PRODUCER
from pipeline.kafka import may_pass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.collector.answers import Record

_SENT_WITHIN_S = 5.0
_COMMITTED_WITHIN_S = 10.0
_ASK_S = 1.0
_START_S = 10.0
_FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001 (public names)


class AwayError(Exception):
    """The broker did not take them; nothing of them is kept or will be."""


class InDoubtError(Exception):
    """The broker was asked to commit them, and has not said whether it has."""


class LostError(Exception):
    """This producer can send no more: another one has its transactional id, or its state is broken."""


class Log(Protocol):
    """What takes records for good."""

    def commit(self, records: Iterable[Record]) -> None:
        """Keep all of them, or none. Raises AwayError, InDoubtError, LostError."""

    def settle(self) -> bool:
        """Is what was open finished, so that more can be sent? Raises LostError."""


class KafkaLog:
    """A transactional producer; used by one thread.

    Raises:
        KafkaException: if the broker does not let it begin.
    """

    def __init__(self, kafka: str, transactional_id: str) -> None:
        self._name = transactional_id
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": 30_000,
                "message.timeout.ms": 30_000,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "log_level": 3,
            }
        )
        self._open: Literal["", "abort", "commit"] = ""
        """What is still to be asked of the broker."""
        self._why = ""
        """Why it is to be taken back."""
        self._producer.init_transactions(_START_S)

    def commit(self, records: Iterable[Record]) -> None:
        """See `Log`."""
        self._why = self._sent(records)
        self._open = "abort" if self._why else "commit"
        until = time.monotonic() + _COMMITTED_WITHIN_S
        while not self.settle() and self._open == "commit":
            if time.monotonic() > until:
                raise InDoubtError(f"the broker has not said in {_COMMITTED_WITHIN_S:.0f} s whether they are committed")
        if self._why:
            raise AwayError(self._why)

    def _sent(self, records: Iterable[Record]) -> str:
        """Why they are not all at the broker; empty when they are."""
        until = time.monotonic() + _SENT_WITHIN_S
        try:
            self._producer.begin_transaction()
            for each in records:
                self._send(each, until)
            left = self._producer.flush(max(0.1, until - time.monotonic()))
        except BufferError:
            left = 1
        except KafkaException as error:
            self._require_mine(error)
            return _words(error)
        return f"the broker has not taken them in {_SENT_WITHIN_S:.0f} s" if left else ""

    def _send(self, record: Record, until: float) -> None:
        headers = [(HEADER_PRODUCER, f"{self._name}/{record.sender}".encode())]
        while True:
            try:
                self._producer.produce(record.topic, record.value, key=record.key, headers=headers)
            except BufferError:
                if time.monotonic() > until:
                    raise
                self._producer.poll(0.1)
            else:
                return

    def settle(self) -> bool:
        """See `Log`."""
        if not self._open:
            return True
        ask = self._producer.commit_transaction if self._open == "commit" else self._producer.abort_transaction
        try:
            ask(_ASK_S)
        except KafkaException as error:
            self._require_mine(error)
            if error.args[0].txn_requires_abort():
                self._open, self._why = "abort", self._why or _words(error)
                return self.settle()
            if not may_pass(error):
                raise LostError(_words(error)) from error
            return False
        self._open = ""
        return True

    def _require_mine(self, error: KafkaException) -> None:
        cause = error.args[0]
        if cause.code() in _FENCED:
            raise LostError(
                f"another collector sends as {self._name}: give each its own TIDEGATE_COLLECTOR_ID"
            ) from error
        if cause.fatal():
            raise LostError(_words(error)) from error


def _words(error: KafkaException) -> str:
    return str(error.args[0].str())
