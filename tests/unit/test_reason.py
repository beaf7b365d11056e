"""What people are told of an error that fills pages."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from pipeline.reason import first_line, reason_of, told_of

CASES = {
    "a-plain-error-is-its-first-line": (ValueError("no such stream\nmore"), "ValueError: no such stream"),
    "an-error-without-words-is-its-name": (TimeoutError(), "TimeoutError"),
    "a-java-error-loses-its-packages": (
        RuntimeError("java.io.IOException: No space left on device\n=== Streaming Query ===\nIdentifier: lake shop"),
        "IOException: No space left on device",
    ),
    "the-innermost-cause-counts": (
        RuntimeError(
            "An exception was raised by the Python Proxy. Return Message: Traceback (most recent call last):\n"
            '  File "x.py", line 1\n'
            "py4j.protocol.Py4JJavaError: An error occurred while calling o99.save.\n"
            ": org.apache.spark.SparkException: Job aborted.\n"
            "Caused by: java.io.IOException: No space left on device\n\tat java.base/x"
        ),
        "IOException: No space left on device",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_says_why(case: str) -> None:
    error, reason = CASES[case]
    assert reason_of(error) == reason


def test_a_short_line_for_what_is_tried_again() -> None:
    assert first_line(KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))) == "Broker: Request timed out"
    assert first_line(OSError("refused\nby the server")) == "refused"
    assert first_line(TimeoutError()) == "TimeoutError"


def test_what_is_cut_short_still_names_its_cause() -> None:
    error = RuntimeError(
        ": org.apache.spark.SparkException: Job aborted.\n"
        + "\tat x\n" * 900
        + "Caused by: java.io.IOException: No space left"
    )
    told = told_of(error, 2_000)
    assert len(told) < 2_100
    assert reason_of(RuntimeError(f"micro-batch 7: {told}")) == "IOException: No space left"
    assert told_of(ValueError("short"), 2_000) == "short"
