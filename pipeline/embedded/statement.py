"""Where does the statement end and its data begin?

A request is a statement and, for an insert, data in any format, binary too, in one run of bytes. chDB takes the two
apart: a statement as text, data as bytes with the name of their format. So we read tokens far enough to find `FORMAT`
or `VALUES`. On the way we see what an embedded server must not run: chDB runs a second statement behind a `;`, writes
`INTO OUTFILE` on the server, and an `ENGINE = Kafka` keeps the folder from ever opening again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from pipeline.embedded.errors import (
    ACCESS_DENIED,
    INTO_OUTFILE_NOT_ALLOWED,
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    UNKNOWN_TYPE_OF_QUERY,
    refusal,
)
from pipeline.embedded.tokens import NOTHING, Token, tokens

_AFTER_FORMAT = re.compile(rb"[ \t\f]*(?:\r?\n)?")
_READING = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "FROM"})
_ANSWERING = _READING | {"KILL"}
_CONSUMING_ENGINES = frozenset({b"KAFKA", b"RABBITMQ", b"NATS", b"FILELOG", b"S3QUEUE", b"AZUREQUEUE"})
_SERVER_FILES = frozenset({b"FILE", b"FILECLUSTER", b"EXECUTABLE", b"PYTHON"})


@dataclass(frozen=True)
class Statement:
    """One statement, apart from its data."""

    sql: str
    """Without data, and without `FORMAT` where data follow it."""
    verb: str
    """First keyword, upper case."""
    output: str | None = None
    """Format that the statement itself asks its result in."""
    input: str | None = None
    """Format of the data; None when the statement takes none."""
    data: bytes = b""
    input_at: tuple[int, int] | None = None
    """Where in `sql` its `input(` stands, for an `INSERT ... SELECT ... FROM input(...)`."""

    @property
    def answers(self) -> bool:
        """Does it produce a result?"""
        return self.verb in _ANSWERING

    @property
    def only_reads(self) -> bool:
        """May it be stopped when nobody waits for it?"""
        return self.verb in _READING


def read_statement(query: bytes, body: bytes) -> Statement:
    """Read a request's statement: `query` from the address and `body` follow one another, as ClickHouse has it.

    Raises:
        ServerError: if it is empty, more than one, or one that this server does not run.
    """
    first = next((token for token in tokens(query or body) if token.keyword != b"("), NOTHING)
    if first.keyword == b"INSERT":
        insert = _read_insert(query, body) if query else _read_insert(body, b"")
        return insert or _read_insert(query + b"\n" + body, b"") or _refuse_insert()
    text = query + b"\n" + body if query and body else query or body
    if not first.text:
        raise refusal(SYNTAX_ERROR, "Empty query: neither the address (query=) nor the body has a statement")
    return _read_other(text, first.keyword.decode("utf-8", "replace"))


def _read_insert(text: bytes, rest: bytes) -> Statement | None:
    """The insert in `text`, its data going on in `rest`; None if `text` does not say what the data are."""
    before, input_at, selects = NOTHING, None, False
    found = tokens(text)
    for token in found:
        if token.depth == 0 and before.keyword not in (b"INTO", b"TABLE", b"."):
            if token.keyword == b"VALUES" and not selects:
                return _with_data(text[: token.start], "Values", text[token.end :] + rest, None)
            if token.keyword == b"FORMAT":
                name = next(found, NOTHING)
                data = text[_after_format(text, name.end) :] + rest
                return _with_data(text[: token.start], name.text.decode("utf-8", "replace"), data, input_at)
            selects = selects or token.keyword in (b"SELECT", b"WITH")
            _refuse_second(before, token)
        _refuse_files(before, token)
        if (before.keyword, token.keyword) == (b"INPUT", b"("):
            input_at = (before.start, token.end)
        before = token
    return Statement(_text(text), "INSERT") if selects and input_at is None and not rest.strip() else None


def _with_data(head: bytes, name: str, data: bytes, input_at: tuple[int, int] | None) -> Statement:
    """Offsets are counted in bytes so far, and in characters from here on."""
    at = input_at and (len(_text(head[: input_at[0]])), len(_text(head[: input_at[1]])))
    return Statement(_text(head), "INSERT", input=name, data=data, input_at=at)


def _after_format(text: bytes, end: int) -> int:
    spaces = _AFTER_FORMAT.match(text, end)
    return spaces.end() if spaces else end


def _refuse_insert() -> Statement:
    raise refusal(SYNTAX_ERROR, "the insert does not say what its data are: give VALUES, SELECT, or FORMAT and a name")


def _read_other(text: bytes, verb: str) -> Statement:
    before, output, is_engine = NOTHING, None, False
    for token in tokens(text):
        _refuse_second(before, token)
        if before.keyword == b"FORMAT" and before.depth == 0 and token.text[:1].isalpha():
            output = token.text.decode()
        is_engine = before.keyword == b"ENGINE" or (is_engine and before.keyword == b"=")
        if is_engine:
            _refuse_consumer(token)
        _refuse_files(before, token)
        before = token
    _refuse_session(text)
    return Statement(_text(text), verb, output=output)


def _refuse_second(before: Token, token: Token) -> None:
    if before.keyword == b";" and token.keyword != b";":
        raise refusal(SYNTAX_ERROR, "Multi-statements are not allowed: something follows the ';'")


def _refuse_consumer(token: Token) -> None:
    if token.text.strip(b'`"').upper() in _CONSUMING_ENGINES:
        raise refusal(
            NOT_IMPLEMENTED,
            f"ENGINE = {token.text.decode()} is not supported by the embedded server, where it would keep the data "
            "folder from opening again; consume the topic in a process and insert over HTTP",
        )


def _refuse_files(before: Token, token: Token) -> None:
    pair = (before.keyword, token.keyword)
    if pair == (b"INTO", b"OUTFILE"):
        raise refusal(INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed over HTTP; read the answer's body")
    if pair == (b"FROM", b"INFILE"):
        raise refusal(UNKNOWN_TYPE_OF_QUERY, "FROM INFILE is not allowed over HTTP; send the data as the body")
    if token.keyword == b"(" and before.text.strip(b'`"').upper() in _SERVER_FILES:
        raise refusal(
            ACCESS_DENIED, f"{before.text.decode()}(...) is not allowed: it would use files or programs of the server"
        )


def _refuse_session(text: bytes) -> None:
    words = [token.keyword.decode("utf-8", "replace") for token in islice(tokens(text), 4)]
    if words[0] in ("SET", "USE") or (words[0] in ("CREATE", "REPLACE") and "TEMPORARY" in words):
        raise refusal(
            NOT_IMPLEMENTED,
            f"{words[0]} would live in a session, and the embedded server keeps none: every request stands alone; "
            "give settings and database with the request",
        )


def _text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise refusal(SYNTAX_ERROR, f"the statement is not UTF-8 text: {error}") from error
