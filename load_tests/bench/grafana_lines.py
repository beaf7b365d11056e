"""Influx line protocol as Grafana reads it: strictly, with the place of the first mistake.

By the grammar that https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol publishes; times are in nanoseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

_MEASUREMENT = re.compile(r"(?:\\.|[^\\, \n])+")
_KEY = re.compile(r"(?:\\.|[^\\,= \n])+")
_VALUE = re.compile(
    r'(?P<string>"(?:\\["\\]|\\(?!["\\])|[^"\\])*")|(?P<integer>-?\d+i)|(?P<unsigned>\d+u)'
    r"|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<boolean>true|false|True|False|TRUE|FALSE|[tTfF])"
)
_TIME = re.compile(r"-?\d+")
Value = float | str | bool


class LineError(ValueError):
    """What was expected, and where: `expected field at 1:14`."""


@dataclass(frozen=True)
class Line:
    """One point."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time_ns: int | None
    """None: the moment of reading."""


def parsed(body: str) -> list[Line]:
    """The points of a body.

    Raises:
        LineError: at the first mistake; then nothing of the body is taken.
    """
    lines = enumerate(body.split("\n"), 1)
    return [_Reading(text, number).line() for number, text in lines if text.strip() and not text.startswith("#")]


class _Reading:
    """A cursor in one line."""

    def __init__(self, text: str, number: int) -> None:
        self._text, self._number, self._at = text.rstrip("\r"), number, 0

    def line(self) -> Line:
        measurement = self._read(_MEASUREMENT, "measurement")
        tags: dict[str, str] = {}
        while self._skip(","):
            key = self._read(_KEY, "tag key")
            self._need("=", "tag value")
            tags[_plain(key)] = _plain(self._read(_KEY, "tag value"))
        self._need(" ", "field")
        fields: dict[str, Value] = {}
        while not fields or self._skip(","):
            key = self._read(_KEY, "field")
            self._need("=", "field value")
            fields[_plain(key)] = self._value()
        time_ns = int(self._read(_TIME, "timestamp")) if self._skip(" ") else None
        if self._at < len(self._text):
            self._fail("the end of the line")
        return Line(_plain(measurement), tags, fields, time_ns)

    def _value(self) -> Value:
        found = _VALUE.match(self._text, self._at)
        end = found.end() if found else self._at
        if found is None or (end < len(self._text) and self._text[end] not in ", "):
            self._fail("field value")
        self._at = found.end()
        written = found.group()
        match found.lastgroup:
            case "string":
                return re.sub(r'\\(["\\])', r"\1", written[1:-1])
            case "boolean":
                return written[0] in "tT"
            case _:
                return float(written.rstrip("iu"))

    def _read(self, wanted: re.Pattern[str], named: str) -> str:
        found = wanted.match(self._text, self._at)
        if found is None:
            self._fail(named)
        self._at = found.end()
        return found.group()

    def _skip(self, text: str) -> bool:
        is_there = self._text.startswith(text, self._at)
        self._at += len(text) if is_there else 0
        return is_there

    def _need(self, text: str, named: str) -> None:
        if not self._skip(text):
            self._fail(named)

    def _fail(self, expected: str) -> NoReturn:
        raise LineError(f"metric parse error: expected {expected} at {self._number}:{self._at + 1}: {self._text!r}")


def _plain(written: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", written)
