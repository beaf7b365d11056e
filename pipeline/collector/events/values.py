"""Which single values does Avro take from JSON? Numbers within their bounds, real text, times by ISO 8601 or as Avro keeps them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from pipeline.collector.answers import misfit

Convert = Callable[[Any], Any]
"""A value as Avro's encoder takes it. Raises MisfitError."""
_LARGEST_FLOAT = 3.4028234663852886e38
_MICROS_A_DAY = 86_400_000_000
_LAST_MICROS = 253_402_300_799_999_999
"""The end of the year 9999."""
_FIRST_MICROS = -62_135_596_800_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_LENGTH = len("2026-01-01")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_UNITS = {"millis": 1_000, "micros": 1}


def _whole(expected: str, least: int, most: int) -> Convert:
    def convert(value: Any) -> Any:  # noqa: ANN401 (as all below: whatever has come)
        if type(value) is int and least <= value <= most:
            return value
        raise misfit(expected, value)

    return convert


def _fraction(expected: str, most: float) -> Convert:
    def convert(value: Any) -> Any:  # noqa: ANN401
        if type(value) in (float, int) and -most <= value <= most:  # a NaN is not
            return float(value)
        raise misfit(expected, value)

    return convert


def _is(kind: type, expected: str) -> Convert:
    def convert(value: Any) -> Any:  # noqa: ANN401
        if type(value) is kind:
            return value
        raise misfit(expected, value)

    return convert


def string(value: Any) -> Any:  # noqa: ANN401
    """Text that can be written in UTF-8."""
    if type(value) is str:
        try:
            return value if value.isascii() else value.encode() and value
        except UnicodeEncodeError:
            pass
        raise misfit("string of Unicode characters, without lone surrogates", value)
    raise misfit("string", value)


def bytes_of(size: int | None = None) -> Convert:
    """So many bytes, or any."""
    expected = "bytes: a string with a character of U+0000 to U+00FF for each byte"
    expected = expected if size is None else f"{size} {expected}"

    def convert(value: Any) -> Any:  # noqa: ANN401
        try:
            found = value.encode("latin-1") if type(value) is str else value
        except UnicodeEncodeError:
            found = None
        if type(found) is bytes and size in (None, len(found)):
            return found
        raise misfit(expected, value)

    return convert


PLAIN: dict[str, Convert] = {
    "null": _is(type(None), "null"),
    "boolean": _is(bool, "boolean"),
    "int": _whole("int: a whole number from -2147483648 to 2147483647", -(2**31), 2**31 - 1),
    "long": _whole("long: a whole number of at most 64 bits", -(2**63), 2**63 - 1),
    "float": _fraction("float: a finite number of 32 bits", _LARGEST_FLOAT),
    "double": _fraction("double: a finite number", math.nextafter(math.inf, 0)),
    "string": string,
    "bytes": bytes_of(),
}


def one_of(symbols: list[str]) -> Convert:
    """A symbol of an enum."""
    known, expected = frozenset(symbols), f"one of {', '.join(symbols)}"

    def convert(value: Any) -> Any:  # noqa: ANN401
        if type(value) is str and value in known:
            return value
        raise misfit(expected, value)

    return convert


def logical_of(schema: Mapping[str, Any]) -> Convert | None:
    """What is written as a time; what a logical type says of bytes is not looked at."""
    name, kind = str(schema.get("logicalType", "")), schema["type"]
    what, _, unit = name.rpartition("-")
    if unit in _UNITS and what in ("timestamp", "local-timestamp") and kind == "long":
        return _moment(_UNITS[unit], unit, is_local=what != "timestamp")
    if unit in _UNITS and what == "time":
        return _time_of_day(_UNITS[unit], unit)
    if name == "date" and kind == "int":
        return _date
    if name == "uuid" and kind == "string":
        return _uuid
    return None


def _moment(micros: int, unit: str, *, is_local: bool) -> Convert:
    said = "an ISO 8601 time without an offset" if is_local else "an ISO 8601 time with its offset"
    expected = f"timestamp: {said}, or {unit[:5]}seconds since 1970, of the years 1 to 9999"
    least, most = _FIRST_MICROS // micros, _LAST_MICROS // micros

    def convert(value: Any) -> Any:  # noqa: ANN401
        found = _iso_micros(value, is_local=is_local) // micros if type(value) is str else value
        if type(found) is int and least <= found <= most:
            return found
        raise misfit(expected, value)

    return convert


def _iso_micros(text: str, *, is_local: bool) -> int:
    """Microseconds since 1970; beyond all bounds where it is no such time."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return _LAST_MICROS * 2
    if len(text) <= _DATE_LENGTH or (at.tzinfo is None) is not is_local:
        return _LAST_MICROS * 2
    passed = (at.replace(tzinfo=UTC) if is_local else at) - _EPOCH
    return passed.days * _MICROS_A_DAY + passed.seconds * 1_000_000 + passed.microseconds


def _time_of_day(micros: int, unit: str) -> Convert:
    expected, most = f"time of day: ISO 8601, or {unit[:5]}seconds since midnight", _MICROS_A_DAY // micros

    def convert(value: Any) -> Any:  # noqa: ANN401
        if type(value) is int and 0 <= value < most:
            return value
        try:
            at = time.fromisoformat(value) if type(value) is str else None
        except ValueError:
            at = None
        if at is None or at.tzinfo is not None:
            raise misfit(expected, value)
        return ((at.hour * 60 + at.minute) * 60_000_000 + at.second * 1_000_000 + at.microsecond) // micros

    return convert


def _date(value: Any) -> Any:  # noqa: ANN401
    if type(value) is int and abs(value) <= _LAST_MICROS // _MICROS_A_DAY:
        return value
    if type(value) is str and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        try:
            return (date.fromisoformat(value) - _EPOCH.date()).days
        except ValueError:
            pass
    raise misfit("date: YYYY-MM-DD, or days since 1970", value)


def _uuid(value: Any) -> Any:  # noqa: ANN401
    if type(value) is str and _UUID.fullmatch(value):
        return value
    raise misfit("uuid, such as 123e4567-e89b-12d3-a456-426614174000", value)
