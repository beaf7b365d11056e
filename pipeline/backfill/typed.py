"""Is a value what the stream's schema says, and which one is it? For rows of files, whose types are those of their format.

Text is read as what the field is (`12`, `true`, `2013-01-01T05:00:00Z`), because CSV has nothing else and JSON no times. A whole
number is never made of a fraction, nor a number of a text that is none: that would hide what is wrong with a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from controlplane.contract.valid import base_type, type_name
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SHOWN = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BITS = {"int": 31, "long": 63}
_ARROW = {
    **dict.fromkeys(("string", "enum"), pa.string()),
    **dict.fromkeys(("int", "long"), pa.int64()),
    **dict.fromkeys(("float", "double"), pa.float64()),
    **dict.fromkeys(("timestamp-millis", "timestamp-micros"), pa.timestamp("us", "UTC")),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}
_WORDS = {
    "string": "a text",
    "int": "a whole number of 32 bits",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "boolean": "true or false",
    "date": "a day such as 2013-01-31",
    "timestamp-millis": "a time such as 2013-01-31T12:00:00Z, or milliseconds since 1970",
    "timestamp-micros": "a time such as 2013-01-31T12:00:00Z, or microseconds since 1970",
}


class BadRowError(RefusedError):
    """A row of a file is not what the stream's schema says: file, row, column, what was expected and found."""

    def __init__(self, file: str, row: int, column: str, expected: str, found: object) -> None:
        shown = "nothing" if found is None else repr(found)[:_SHOWN]
        super().__init__(
            f"{file}, row {row:,}, column {column!r}: expected {expected}, found {shown}; nothing was changed"
        )
        self.file, self.row, self.column = file, row, column


class _UnfitError(Exception):
    """The value is none of its field's."""


@dataclass(frozen=True)
class Reads:
    """How one field is read."""

    name: str
    kind: str
    symbols: tuple[str, ...]
    is_nullable: bool
    default: Any
    has_default: bool

    @classmethod
    def of(cls, field: Mapping[str, Any]) -> Reads:
        """Of a field of the stream's schema."""
        base, is_nullable = base_type(field["type"])
        symbols = tuple(base.get("symbols", ())) if isinstance(base, dict) else ()
        kind = type_name(field["type"])
        return cls(field["name"], kind, symbols, is_nullable, field.get("default"), "default" in field)

    @property
    def expected(self) -> str:
        """In words."""
        said = f"one of {', '.join(self.symbols)}" if self.symbols else _WORDS.get(self.kind, self.kind)
        return f"{said}, or nothing" if self.is_nullable else said

    def column(self, values: Sequence[Any] | None, count: int, file: str, first: int) -> pa.Array:
        """All values of a stretch of rows.

        Args:
            values: as the format gives them; None where it has no such column.
            count: rows.
            file: for words.
            first: number of the first row, from 1.

        Raises:
            BadRowError: at the first value that does not fit.
        """
        given = [self.default] * count if values is None else values
        read = _READERS[self.kind]
        found = []
        for at, value in enumerate(given):
            try:
                found.append(self._one(value, read))
            except (_UnfitError, ValueError, OverflowError) as error:
                raise BadRowError(file, first + at, self.name, self.expected, value) from error
        return pa.array(found, _ARROW[self.kind])

    def _one(self, value: Any, read: Callable[[Reads, Any], Any]) -> Any:  # noqa: ANN401 (of any type)
        if value is None or (value == "" and (self.is_nullable or self.kind not in ("string", "enum"))):
            if self.is_nullable:
                return None
            raise _UnfitError
        return read(self, value)


def _text(reads: Reads, value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or (reads.symbols and value not in reads.symbols):
        raise _UnfitError
    return value


def _whole(reads: Reads, value: Any) -> int:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _UnfitError
    number = int(value)
    if not -(2 ** _BITS[reads.kind]) <= number < 2 ** _BITS[reads.kind]:
        raise _UnfitError
    return number


def _number(_: Reads, value: Any) -> float:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _UnfitError
    return float(value)


def _boolean(_: Reads, value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _UnfitError
    return value


def _day(_: Reads, value: Any) -> date:  # noqa: ANN401
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise _UnfitError
    return date.fromisoformat(value) if isinstance(value, str) else value


def _moment(reads: Reads, value: Any) -> datetime:  # noqa: ANN401
    if isinstance(value, str):
        value = int(value) if value.lstrip("-").isdigit() else datetime.fromisoformat(value)
    if isinstance(value, int) and not isinstance(value, bool):
        unit = timedelta(milliseconds=1) if reads.kind == "timestamp-millis" else timedelta(microseconds=1)
        return _EPOCH + value * unit
    if not isinstance(value, datetime):
        raise _UnfitError
    # A format that keeps times without a zone (Parquet, CSV) means UTC here, as everything does.
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


_READERS: dict[str, Callable[[Reads, Any], Any]] = {
    **dict.fromkeys(("string", "enum"), _text),
    **dict.fromkeys(("int", "long"), _whole),
    **dict.fromkeys(("float", "double"), _number),
    **dict.fromkeys(("timestamp-millis", "timestamp-micros"), _moment),
    "boolean": _boolean,
    "date": _day,
}
