"""Who asks, and what may a reader do?

The embedded engine knows one user, who may do anything. BI tools connect as `bi`: the engine's own `readonly` keeps them from
changing anything. What it does not keep them from is reading: chDB takes a table's name for a file's, and has functions that
read files and networks. So a reader's statement is looked through before it runs. It is a rail and not a wall: there are no
passwords, and whoever may open a socket on this machine may ask as another user.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from pipeline.embedded.errors import (
    ACCESS_DENIED,
    AUTHENTICATION_FAILED,
    READONLY,
    SYNTAX_ERROR,
    refusal,
)
from pipeline.embedded.tokens import NOTHING, Token, tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pipeline.embedded.asked import Request
    from pipeline.embedded.statement import Statement

BI = "bi"
_USERS = ("default", BI)
LIMITS = {
    "max_execution_time": "60",
    "max_memory_usage": str(256 * 1024 * 1024),
}
"""What a reader's query has unless it says otherwise: seconds, bytes. What live needs is left to live."""
_TABLE_FUNCTIONS = frozenset(
    {
        *("deltalakelocal", "format", "generaterandom", "generateseries", "generate_series", "null", "numbers"),
        *("numbers_mt", "sqlstandardvalues", "values", "view", "zeros", "zeros_mt"),
    }
)
"""Those that read nothing but what is in the statement, and the lake."""
_READING_FILES = ("format_schema", "format_template", "format_avro_schema_registry_url")
"""Settings (or how their names begin) that name a file or an address."""
_BEFORE_TABLES = frozenset({b"FROM", b"JOIN", b",", b".", b"(", b"TABLE"})
_PATTERN = re.compile(rb"[*?{}/\\]|\.\.")
_DESCRIBING = frozenset({"DESCRIBE", "DESC", "EXISTS", "SHOW", "CHECK"})
_OTHER_CLAUSES = frozenset(
    {
        *(b"SELECT", b"WHERE", b"PREWHERE", b"GROUP", b"ORDER", b"HAVING", b"LIMIT", b"SETTINGS", b"FORMAT", b"WINDOW"),
        *(b"QUALIFY", b"UNION", b"EXCEPT", b"INTERSECT", b"OFFSET"),
    }
)


def user_of(headers: Mapping[str, str], query_string: str) -> str:
    """The user's name as ClickHouse takes it: a header, HTTP basic, or `user=` in the address; `default` when none says.

    Raises:
        ServerError: 403 if there is no such user, or two different names are given.
    """
    given = {
        headers.get("x-clickhouse-user", ""),
        _basic(headers.get("authorization", "")),
        dict(parse_qsl(query_string)).get("user", ""),
    } - {""}
    if len(given) > 1:
        raise refusal(AUTHENTICATION_FAILED, f"the request names several users: {', '.join(sorted(given))}")
    user = next(iter(given), "default")
    if user not in _USERS:
        raise refusal(
            AUTHENTICATION_FAILED, f"{user}: there is no user of this name; read as {BI!r}, which needs no password"
        )
    return user


def _basic(authorization: str) -> str:
    kind, _, said = authorization.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(said).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise refusal(AUTHENTICATION_FAILED, "the Authorization header is malformed") from error


def read_only(request: Request, table_functions: Collection[str]) -> Request:
    """The request as a reader may make it.

    Args:
        request: as it came.
        table_functions: every table function of the engine, in lower case.

    Raises:
        ServerError: if it would read what is not the reader's; the engine refuses what would change anything.
    """
    if request.settings.get("readonly", "2") != "2":
        raise refusal(READONLY, "Cannot modify 'readonly' setting in readonly mode")
    if request.statement.verb == "KILL":
        raise refusal(ACCESS_DENIED, f"{BI}: a reader stops nobody's query; its own ends when it hangs up")
    for setting in request.settings:
        _refuse_setting(setting)
    statement = _without_patterns(request.statement)
    refuse_reach(statement.sql.encode(), frozenset(table_functions) - _TABLE_FUNCTIONS)
    return replace(request, statement=statement, settings={**LIMITS, **request.settings, "readonly": "2"})


def _without_patterns(statement: Statement) -> Statement:
    """No table is called like a pattern or a path, though chDB says that one exists, meaning files.

    pandas asks of every query first whether it is a table, and a query has stars and slashes.
    """
    if statement.verb != "EXISTS":
        return statement
    quoted = (token.text for token in tokens(statement.sql.encode()) if not token.keyword)
    if not any(_PATTERN.search(text) for text in quoted):
        return statement
    return replace(statement, sql="SELECT toUInt8(0) AS result")


def refuse_reach(sql: bytes, refused: Collection[str]) -> None:
    """Refuse a statement that reaches beyond tables and lake: by a function, a setting, or a file's name as a table's.

    Raises:
        ServerError: naming what is refused.
    """
    tables, before = _Tables(), NOTHING
    for token in tokens(sql):
        name = _plain(token)
        if token.keyword and not token.text.isascii():
            raise refusal(SYNTAX_ERROR, f"{BI}: outside of quotes a statement is ASCII")
        if token.text[:1] in b'`"' and b"\\" in token.text:
            raise refusal(ACCESS_DENIED, f"{BI}: a quoted name has no backslash")
        if token.keyword == b"(" and _plain(before) in refused:
            raise refusal(ACCESS_DENIED, f"{BI}: {_plain(before)}(...) would read files or networks")
        if tables.takes(before, token) and not token.keyword and (b"/" in token.text or b".." in token.text):
            raise refusal(ACCESS_DENIED, f"{BI}: {token.text.decode(errors='replace')} is a file, not a table")
        _refuse_setting(name)
        before = token


class _Tables:
    """Where in a statement does the name of a table stand? Clauses are followed by depth of brackets."""

    def __init__(self) -> None:
        self._in_from: dict[int, bool] = {}
        self._verb = b""

    def takes(self, before: Token, token: Token) -> bool:
        """Could this token be a table's name?"""
        self._verb = self._verb or token.keyword
        here = self._in_from.get(token.depth, False)
        is_name = before.keyword == b"AS" or (here and before.keyword in _BEFORE_TABLES - {b"("})
        if token.keyword in (b"FROM", b"JOIN"):
            self._in_from[token.depth] = True
        elif token.keyword in _OTHER_CLAUSES and not is_name:
            self._in_from[token.depth] = False
        elif token.keyword in (b"(", b"[", b"{"):
            self._in_from[token.depth + 1] = token.keyword == b"(" and is_name
        is_described = self._verb.decode() in _DESCRIBING or before.keyword in (b"DESCRIBE", b"DESC", b"TABLE")
        return is_described or (here and before.keyword in _BEFORE_TABLES)


def _plain(token: Token) -> str:
    return token.text.strip(b'`"').decode(errors="replace").lower()


def _refuse_setting(name: str) -> None:
    if name.lower().startswith(_READING_FILES):
        raise refusal(ACCESS_DENIED, f"{BI}: {name} names a file or an address of the server")
