"""Route's latency out of the records themselves: read from a record's end, summed up over half a minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.contract.valid import provenance_fields
from lag_monitor.latency.provenance import raw_at_ms
from lag_monitor.latency.window import SAMPLES_AT_MOST, WITHIN, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
LONGS = st.integers(min_value=0, max_value=2**62)
ENDING: Any = parse_schema(
    {"type": "record", "name": "Ending", "fields": [{"name": "before", "type": "bytes"}, *provenance_fields()]}
)


def written(before: bytes, partition: int, offset: int, raw_at: int) -> bytes:
    out = BytesIO()
    said = {"before": before, "tg_partition": partition, "tg_offset": offset, "tg_raw_at": raw_at}
    schemaless_writer(out, ENDING, said)
    return out.getvalue()


@given(st.binary(max_size=20), st.integers(min_value=0, max_value=2**31 - 1), LONGS, LONGS)
@example(b"\xff\xff", 0, 0, 0)
def test_whatever_a_record_begins_with_its_end_is_read(before: bytes, partition: int, offset: int, raw_at: int) -> None:
    assert raw_at_ms(written(before, partition, offset, raw_at), f"{partition}:{offset}") == raw_at


@pytest.mark.parametrize("value", [b"", b"\x80", b"\x02", b"\x02\x02", b"\xff" * 30], ids=repr)
def test_a_record_that_ends_otherwise_says_nothing(value: bytes) -> None:
    assert raw_at_ms(value, "0:0") is None


def test_a_record_whose_header_names_another_source_is_not_believed() -> None:
    assert raw_at_ms(written(b"", 1, 2, 3), "1:3") is None
    assert raw_at_ms(written(b"", 1, 2, 3), "") is None


def window_of(latencies_ms: Iterable[float], at: datetime = NOON) -> Window:
    window = Window("shop")
    for each in latencies_ms:
        window.add(at, each)
    return window


def test_median_99th_percentile_and_longest_are_told() -> None:
    fact = window_of(range(1, 101)).fact(NOON)
    assert fact.latency_ms == pytest.approx((50, 99, 100), rel=0.03)
    assert (fact.query, fact.samples, fact.newest_at, fact.reason) == ("route shop", 100, NOON, None)


def test_what_is_older_than_half_a_minute_is_no_longer_counted_and_silence_has_a_reason() -> None:
    window = window_of([5.0])
    assert window.fact(NOON + WITHIN).latency_ms == pytest.approx((5, 5, 5), rel=0.03)
    fact = window.fact(NOON + WITHIN + timedelta(seconds=1))
    assert (fact.latency_ms, fact.samples) == (None, 0)
    assert fact.reason == "route has written no valid event for 31 s"


def test_before_the_first_event_nothing_is_known() -> None:
    fact = Window("shop").fact(NOON)
    assert fact.latency_ms is None
    assert "no valid event since" in (fact.reason or "")


def test_a_broker_that_is_silent_makes_old_samples_unknown() -> None:
    fact = window_of([5.0]).fact(NOON, "the broker does not say")
    assert (fact.latency_ms, fact.reason) == (None, "the broker does not say")


def test_samples_are_bounded() -> None:
    assert window_of(range(3 * SAMPLES_AT_MOST)).fact(NOON).samples == SAMPLES_AT_MOST
