"""Route's latency against a known truth: records whose times the test wrote, in a real broker."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from controlplane.contract.names import HEADER_SOURCE
from controlplane.up import Platform
from lag_monitor.latency.watch import watch_latency

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

AGED_MS = 250
COUNT = 120


def varint(number: int) -> bytes:
    number <<= 1
    out = b""
    while number > 0x7F:
        out += struct.pack("B", number & 0x7F | 0x80)
        number >>= 7
    return out + struct.pack("B", number)


def test_it_is_what_the_records_say_and_an_idle_stream_is_unknown(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    with Platform(tmp_path, only=("kafka",), told=lambda _: None) as platform:
        platform.start()
        bootstrap = platform.settings.kafka
        names, stamped = ("made.valid", "idle.valid"), {"message.timestamp.type": "LogAppendTime"}
        admin = AdminClient({"bootstrap.servers": bootstrap})
        created = admin.create_topics(
            [NewTopic(name, num_partitions=2, replication_factor=1, config=stamped) for name in names]
        )
        for future in created.values():
            future.result(timeout=10)
        look = watch_latency(platform.settings, ["made", "idle"])
        made, idle = look()
        assert (made.latency_ms, idle.latency_ms) == (None, None)
        producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        worst_ms = 0.0
        for offset in range(COUNT):
            began = time.time()
            value = b"event" + varint(offset % 2) + varint(offset) + varint(round(began * 1000) - AGED_MS)
            header = {HEADER_SOURCE: f"{offset % 2}:{offset}".encode()}
            producer.produce("made.valid", value, partition=offset % 2, headers=header)
            producer.flush(10)
            worst_ms = max(worst_ms, (time.time() - began) * 1000)
        made, idle = eventually(lambda: (found := look()) and found[0].latency_ms and found, "records are measured")
        assert made.latency_ms is not None
        median, p99, longest = made.latency_ms
        assert AGED_MS - 1 <= median <= p99 <= longest <= AGED_MS + worst_ms + 1
        assert 0 < made.samples <= 100
        assert idle.latency_ms is None
        assert idle.reason is not None
