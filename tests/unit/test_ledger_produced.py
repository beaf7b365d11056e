"""When has the ledger counted a topic to its end? When it has read that far, whether the broker says so or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError

from pipeline.ledger.produced import ProducedCount, StillCountingError

if TYPE_CHECKING:
    from pathlib import Path


class Message:
    def __init__(self, offset: int, *, is_end: bool = False) -> None:
        self._offset, self._is_end = offset, is_end

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._is_end else None


class Topic:
    """A consumer of one partition that ends at offset 3."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, 3

    def assign(self, _: Any) -> None:
        return

    def consume(self, _: int, **__: float) -> list[Message]:
        taken, self._messages = self._messages, []
        return taken


def counted(kept_in: Path, *messages: Message) -> int:
    count = ProducedCount(Topic(*messages), "shop", [0], kept_in)  # type: ignore[arg-type]
    count.advance()
    return count.counted[0].events


def test_a_commit_marker_at_the_end_is_known_by_the_news_of_the_end(tmp_path: Path) -> None:
    assert counted(tmp_path, Message(0), Message(1), Message(3, is_end=True)) == 2


def test_a_busy_partition_is_counted_though_its_end_is_never_news(tmp_path: Path) -> None:
    assert counted(tmp_path, Message(0), Message(1), Message(4)) == 3


def test_a_partition_that_gives_nothing_is_still_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ledger.produced._CATCH_UP_WITHIN_S", 0.0)
    with pytest.raises(StillCountingError, match="still counting, 2 offsets to go"):
        counted(tmp_path, Message(0))
