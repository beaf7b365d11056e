"""Which rows did a table have, at a version or a time, that fit a condition?

The condition is an operator's own SQL. It is parsed before it is run: one expression over the table's columns, with no query
inside, so it can't be anything but a filter. A version whose files are gone is refused with what is still there; deltalake would
name a file that nobody asked for. A time before the table began is refused too; deltalake would answer with the first version.
"""

from __future__ import annotations

import base64
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from pipeline.lakeview.refused import GoneError, LakeRefusedError

if TYPE_CHECKING:
    from pipeline.lakeview.log import Log, Version

_NAME = "rows_of"


def moment_of(at: str) -> datetime:
    """ISO 8601; UTC when it names no other zone.

    Raises:
        LakeRefusedError: if it is no time.
    """
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise LakeRefusedError(f"{at!r} is no time: give it as 2026-03-01T12:00:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def version_of(log: Log, called: str, version: int | None = None, at: datetime | None = None) -> Version:
    """The version that is meant, if it can be read; the newest when neither is given.

    Raises:
        LakeRefusedError: if there is no such version, or not any more; says which can be read.
    """
    if version is None and at is None:
        return log.versions[0]
    found = log.at(at) if version is None and at is not None else log.of(version or 0)
    oldest = log.versions[-1].commit
    if found is None and at is not None:
        raise LakeRefusedError(f"{called}: its log begins at {oldest.at.isoformat()}, after {at.isoformat()}")
    if found is None and version is not None and version > log.newest:
        raise LakeRefusedError(f"{called} has no version {version}; the newest is {log.newest}")
    if found is None or found.reason is not None:
        why = f"its log begins with version {oldest.version}" if found is None else found.reason
        which = version if found is None else found.commit.version
        raise GoneError(f"{called}: version {which} can't be read: {why}; what can be read: {log.readable()}")
    return found


def checked(where: str) -> str:
    """A condition as it may be run.

    Raises:
        LakeRefusedError: if it is not one expression, or has a query in it.
    """
    try:
        parsed = sqlglot.parse(f"SELECT 1 FROM t WHERE {where}", read="postgres")  # noqa: S608 (parsed, and never run)
    except (ParseError, TokenError) as error:
        first = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        near = f" near {first['highlight']!r}" if first.get("highlight") else ""
        raise LakeRefusedError(f"the condition {where!r} is no SQL condition{near}") from error
    [select] = parsed if len(parsed) == 1 else [None]
    said = {name for name, value in select.args.items() if value} if isinstance(select, exp.Select) else {"more"}
    if not isinstance(select, exp.Select) or said - {"expressions", "from", "from_", "where", "kind"}:
        raise LakeRefusedError(f"the condition {where!r} is more than a condition: give only what stands after WHERE")
    if select.args["where"].find(exp.Query, exp.Command):
        raise LakeRefusedError(
            f"the condition {where!r} has a query in it; here only the table's own columns can be compared"
        )
    return where


def read(uri: str, version: int, where: str | None, limit: int) -> pa.Table:
    """Rows at a version.

    Raises:
        LakeRefusedError: if the condition does not fit the table, or it can't be read.
    """
    condition = f"WHERE ({checked(where)}\n)" if where else ""
    try:
        table = DeltaTable(uri, version=version)
        found = QueryBuilder().register(_NAME, table).execute(f"SELECT * FROM {_NAME} {condition} LIMIT {limit}")  # noqa: S608 (checked)
        return pa.table(found)
    except (DeltaError, ValueError) as error:
        raise LakeRefusedError(_said(error, where)) from error


def _said(error: Exception, where: str | None) -> str:
    text = str(error).replace(f"{_NAME}.", "").replace("\n", " ")
    return f"the condition {where!r} can't be asked: {text}" if where else text


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 (whatever a table holds; a case a type)
    """As JSON can say it: times in ISO 8601, bytes in base64, numbers that are none as text."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case float() if not math.isfinite(value):
            return str(value)
        case Decimal():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """A table's rows as JSON can say them."""
    return [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
