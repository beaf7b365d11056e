"""Where does the statement end and its data begin?

A request is a statement and, for an insert, data in any format, binary too, in one run of bytes. chDB takes the two
apart: a statement as text, data as bytes with the name of their format. So we read tokens as ClickHouse's lexer does
(strings, quoted names, comments), far enough to find `FORMAT` or `VALUES`. On the way we see what an embedded server
must not run: chDB runs a second statement behind a `;`, writes `INTO OUTFILE` on the server, and an `ENGINE = Kafka`
leaves metadata behind that keeps the folder from ever opening again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.embedded.errors import (
    ACCESS_DENIED,
    INTO_OUTFILE_NOT_ALLOWED,
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    UNKNOWN_TYPE_OF_QUERY,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    rb"""
    (?P<space>\s++|--[^\n]*+|\#[ !][^\n]*+|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]++|\\.|'')*+'|"(?:[^"\\]++|\\.|"")*+"|`(?:[^`\\]++|\\.|``)*+`|\$(?P<tag>\w*+)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_][A-Za-z0-9_$]*+)
    |(?P<mark>\d[\w.]*+|.)
    """,
    re.DOTALL | re.VERBOSE,
)
_AFTER_FORMAT = re.compile(rb"[ \t\f]*(?:\r?\n)?")
_ANSWERING = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "KILL", "VALUES", "FROM"}
READING = _ANSWERING - {"KILL"}
_CONSUMING_ENGINES = {"KAFKA", "RABBITMQ", "NATS", "FILELOG", "S3QUEUE", "AZUREQUEUE"}
_SERVER_FILES = {"FILE", "EXECUTABLE", "PYTHON", "FILECLUSTER"}
_NO_SESSION = "each request stands alone here: there are no sessions, so give settings and database with the request"


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
    reads_input: tuple[int, int] | None = None
    """Where in `sql` its `input(` stands, for an `INSERT ... SELECT ... FROM input(...)`."""

    @property
    def answers(self) -> bool:
        """Does it produce a result?"""
        return self.verb in _ANSWERING

    @property
    def only_reads(self) -> bool:
        """May it be stopped when nobody waits for it?"""
        return self.verb in READING


@dataclass(frozen=True)
class _Token:
    kind: str
    text: bytes
    start: int
    end: int
    depth: int

    def __eq__(self, keyword: object) -> bool:
        return isinstance(keyword, str) and self.kind != "quoted" and self.text.upper() == keyword.encode()

    __hash__ = None  # type: ignore[assignment]


_NOTHING = _Token("mark", b"", 0, 0, 0)


def read_statement(query: bytes, body: bytes) -> Statement:
    """Read a request's statement: `query` from the address and `body` follow one another, as ClickHouse has it.

    Raises:
        ServerError: if it is empty, more than one, or one that this server does not run.
    """
    text = query + b"\n" + body if query and not _takes_data(query) else query or body
    rest = body if text is query else b""
    verb = next((token.text.upper().decode() for token in _tokens(text) if token.kind == "word"), "")
    if not verb:
        raise refusal(SYNTAX_ERROR, "the request has no statement, neither in its address (query=) nor in its body")
    return _read_insert(text, rest) if verb == "INSERT" else _read_other(text, verb)


def _takes_data(query: bytes) -> bool:
    return next((token == "INSERT" for token in _tokens(query) if token.kind == "word"), False)


def _tokens(text: bytes) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "tag" else "quoted"
        if kind is None or kind == "space":
            continue
        depth -= match[0] in b")]}"
        yield _Token(kind, match[0], match.start(), match.end(), depth)
        depth += match[0] in b"([{"


def _read_insert(text: bytes, rest: bytes) -> Statement:
    before, input_at, selects = _NOTHING, None, False
    tokens = _tokens(text)
    for token in tokens:
        if token.depth == 0 and not (before == "INTO" or before == "TABLE" or before == "."):
            selects = selects or token == "SELECT"
            if token == "VALUES" and not selects:
                return _with_data(text, token, "Values", token.end, rest, None)
            if token == "FORMAT" and (name := next(tokens, None)) is not None:
                start = _after_format(text, name.end)
                return _with_data(text, token, name.text.decode("utf-8", "replace"), start, rest, input_at)
            if token == ";" and selects:
                break
        _refuse_files(before, token)
        if token == "(" and before == "INPUT":
            input_at = (before.start, token.end)
        before = token
    if input_at is not None or not selects:
        raise refusal(SYNTAX_ERROR, "the insert does not say what its data are: end it with FORMAT and a name")
    return Statement(_text(text + rest), "INSERT")


def _with_data(  # noqa: PLR0913 (what an insert is made of)
    text: bytes, end: _Token, format_name: str, start: int, rest: bytes, input_at: tuple[int, int] | None
) -> Statement:
    data = text[start:] + (b"\n" if rest and text[start:] else b"") + rest
    sql = _text(text[: end.start])
    if input_at is not None and not text[: end.start].isascii():
        input_at = (len(_text(text[: input_at[0]])), len(_text(text[: input_at[1]])))
    return Statement(sql, "INSERT", input=format_name, data=data, reads_input=input_at)


def _after_format(text: bytes, end: int) -> int:
    spaces = _AFTER_FORMAT.match(text, end)
    return spaces.end() if spaces else end


def _read_other(text: bytes, verb: str) -> Statement:
    before, output, ended = _NOTHING, None, False
    engine = False
    for token in _tokens(text):
        if ended and token != ";":
            raise refusal(SYNTAX_ERROR, "one request takes one statement, and here something follows the ';'")
        ended = ended or (token == ";" and token.depth == 0)
        if before == "FORMAT" and before.depth == 0 and token.kind == "word":
            output = token.text.decode()
        engine = before == "ENGINE" or (engine and before == "=")
        if engine and token.text.upper().decode("utf-8", "replace") in _CONSUMING_ENGINES:
            raise refusal(
                NOT_IMPLEMENTED,
                f"the embedded server has no ENGINE = {token.text.decode()}: "
                "it would keep the data folder from opening again. Insert what you consume over HTTP",
            )
        _refuse_files(before, token)
        before = token
    _refuse_session(text, verb)
    return Statement(_text(text), verb, output=output)


def _refuse_files(before: _Token, token: _Token) -> None:
    if token == "OUTFILE" and before == "INTO":
        raise refusal(INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed over HTTP; take the answer's body")
    if token == "INFILE" and before == "FROM":
        raise refusal(UNKNOWN_TYPE_OF_QUERY, "FROM INFILE is not allowed over HTTP; send the data as the body")
    if token == "(" and before.text.upper().decode("utf-8", "replace") in _SERVER_FILES:
        raise refusal(
            ACCESS_DENIED, f"{before.text.decode()}(...) is not allowed: it would use files and programs of the server"
        )


def _refuse_session(text: bytes, verb: str) -> None:
    words = [token.text.upper() for token, _ in zip(_tokens(text), range(3), strict=False)]
    if verb in ("SET", "USE") or b"TEMPORARY" in words[1:]:
        raise refusal(NOT_IMPLEMENTED, f"{words[0].decode()} would only live in a session, and {_NO_SESSION}")


def _text(sql: bytes) -> str:
    try:
        return sql.decode().strip().rstrip(";") if sql.rstrip().endswith(b";") else sql.decode()
    except UnicodeDecodeError as error:
        raise refusal(SYNTAX_ERROR, f"the statement is not UTF-8 text: {error}") from error
