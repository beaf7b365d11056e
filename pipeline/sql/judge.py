"""Does a statement only read, and only what it may? It is parsed before any engine sees it. Pure.

What was hard: a parser that is not the engine's own may read a text otherwise than the engine. So what is run is only the words
that were judged (comments are blanked out), strings are of the plain kind only, table functions are those that are allowed rather
than all that are not forbidden; and each engine refuses writing by itself as well (`clickhouse.py`, `child.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from controlplane.contract.queries import Engine
from pipeline.sql.refused import QueryRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DIALECTS = {Engine.CLICKHOUSE: "clickhouse", Engine.LAKE: "postgres"}
"""DataFusion's own words are nearest to Postgres'."""
TABLE_FUNCTIONS = {
    Engine.CLICKHOUSE: frozenset(
        {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series", "values", "view", "null"}
    ),
    Engine.LAKE: frozenset({"range", "generate_series", "explodinggenerateseries", "unnest"}),
}
"""Those that read nothing but what is in the statement."""
_FORBIDDEN = re.compile(
    r"^(file|url|s3|gcs|oss|cosn|hdfs|azureblobstorage|remote|remotesecure|mysql|postgresql|mongodb|redis|sqlite|odbc|jdbc|"
    r"executable|input|infile|python|merge|cluster|clusterallreplicas|dictionary|loop|iceberg|paimon|hudi|deltalake|ytsaurus|"
    r"arrowflight|kafka|fuzzjson|fuzzquery|catboostevaluate|hascolumnintable|addressto\w+|demangle|getsetting|"
    r"getserversetting|getmergetreesetting|sleep|sleepeachrow|throwif|logtrace|read_\w+|\w*scan)"
    r"(s3|azure|hdfs|local|cluster|distributed|allreplicas)*$"
)
"""Functions that read files, networks or settings, or that hold a query up; at any place, whatever comes behind the name."""
SYSTEM_TABLES = frozenset(
    {"tables", "columns", "databases", "parts", "functions", "data_type_families", "numbers", "one", "time_zones"}
)
"""What of ClickHouse's own tables may be read: what there is, and how big. Not who may what, settings, or what others ask."""
_WRITING = (
    *(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.Into, exp.Copy, exp.Set),
    *(exp.Command, exp.TruncateTable, exp.Use, exp.Kill),
)
_EXPLAINS = frozenset({"AST", "SYNTAX", "PLAN", "PIPELINE", "ESTIMATE", "QUERY", "TREE", "ANALYZE", "VERBOSE"})
_SHOWS = frozenset({"TABLES", "DATABASES", "COLUMNS", "FIELDS", "CREATE", "INDEX", "INDEXES", "FUNCTIONS"})
_STRANGE_STRINGS = frozenset(
    {
        *(TokenType.BYTE_STRING, TokenType.HEREDOC_STRING, TokenType.UNICODE_STRING, TokenType.HEX_STRING),
        *(TokenType.BIT_STRING, TokenType.NATIONAL_STRING, TokenType.RAW_STRING),
    }
)
_READS = "here a statement only reads: SELECT, WITH, EXPLAIN, SHOW or DESCRIBE"


@dataclass(frozen=True)
class TableNamed:
    """A table where it stands in the statement."""

    database: str
    name: str
    start: int
    end: int
    """`[start, end)` of the name in `Judged.sql`."""
    is_aliased: bool


@dataclass(frozen=True)
class Judged:
    """A statement that only reads."""

    sql: str
    """As it may be run: without comments and what follows its end."""
    verb: str
    """SELECT (WITH too), EXPLAIN, SHOW or DESCRIBE."""
    query_at: int
    """Where the query begins that is explained, or the table that is described; 0 for a SELECT."""
    tables: tuple[TableNamed, ...]
    """Not those that the statement itself defines."""


def judged(sql: str, engine: Engine) -> Judged:
    """Look a statement through.

    Raises:
        QueryRefusedError: if it is not one statement that only reads; says why.
    """
    dialect = DIALECTS[engine]
    words = _words(sql, dialect)
    text = _without_comments(sql, words)
    _refuse_words(words)
    verb, begins = _verb(words, engine)
    if verb == "SHOW":
        return Judged(text, verb, begins, ())
    head = "SELECT * FROM " if verb == "DESCRIBE" else ""
    query = _parsed(f"{head}{text[begins:]}", dialect)
    _refuse_nodes(query)
    return Judged(text, verb, begins, tuple(_tables(query, engine, begins - len(head))))


class _Word(NamedTuple):
    """A token; `[start, end)` is where it stands."""

    text: str
    kind: TokenType
    start: int
    end: int


def _words(sql: str, dialect: str) -> list[_Word]:
    words = list(_split(sql, dialect, 0))
    if words and words[0].text.upper() in ("EXPLAIN", "SHOW"):
        # To the tokenizer these are commands, and all that follows is one text.
        words = [words[0], *_split(sql[words[0].end :], dialect, words[0].end)]
    while words and words[-1].kind is TokenType.SEMICOLON:
        words.pop()
    if not words:
        raise QueryRefusedError("there is no statement")
    if any(word.kind is TokenType.SEMICOLON for word in words):
        raise QueryRefusedError("one statement at a time: something follows the `;`")
    return words


def _split(sql: str, dialect: str, at: int) -> Iterator[_Word]:
    try:
        for token in sqlglot.tokenize(sql, read=dialect):
            yield _Word(token.text, token.token_type, token.start + at, token.end + 1 + at)
    except SqlglotError as error:
        raise QueryRefusedError(f"this is no SQL: {_said(error)}") from error


def _without_comments(sql: str, words: Sequence[_Word]) -> str:
    """The words where they were, and only spaces between them."""
    text, at = "", 0
    for word in words:
        text += re.sub(r"\S", " ", sql[at : word.start]) + sql[word.start : word.end]
        at = word.end
    return text


def _refuse_words(words: Sequence[_Word]) -> None:
    """What is refused wherever it stands, whatever a parser makes of it."""
    for word, after in zip(words, (*words[1:], None), strict=True):
        if word.kind in _STRANGE_STRINGS:
            raise QueryRefusedError(f"{word.text[:20]!r}: only plain strings in single quotes are taken")
        is_called = after is not None and after.kind is TokenType.L_PAREN and word.kind is not TokenType.STRING
        if is_called and _FORBIDDEN.match(word.text.lower()):
            raise QueryRefusedError(
                f"{word.text}(...) is refused: it reads files, networks or settings, or holds the query up"
            )
    for first, dot, second in zip(words, words[1:], words[2:], strict=False):
        if first.text.lower() == "system" and dot.kind is TokenType.DOT:
            _refuse_system(second.text)


def _refuse_system(table: str) -> None:
    if table.lower() not in SYSTEM_TABLES:
        allowed = ", ".join(sorted(SYSTEM_TABLES))
        raise QueryRefusedError(
            f"system.{table} is refused: it tells of users, settings or what others ask. Of `system` there are: {allowed}"
        )


def _verb(words: Sequence[_Word], engine: Engine) -> tuple[str, int]:
    """What the statement does, and where what it does that with begins."""
    first, rest = words[0].text.upper(), words[1:]
    match first:
        case "EXPLAIN":
            while rest and rest[0].text.upper() in _EXPLAINS:
                rest = rest[1:]
            if not rest or rest[0].text.upper() not in ("SELECT", "WITH", "(", "FROM"):
                raise QueryRefusedError("EXPLAIN: only a query is explained, and without settings")
            return "EXPLAIN", rest[0].start
        case "DESCRIBE" | "DESC":
            rest = rest[1:] if rest and rest[0].text.upper() == "TABLE" else rest
            if not rest:
                raise QueryRefusedError("DESCRIBE: name a table")
            return "DESCRIBE", rest[0].start
        case "SHOW":
            _refuse_show([word.text.upper() for word in rest], engine)
            return "SHOW", rest[0].start
    return "SELECT", words[0].start


def _refuse_show(words: Sequence[str], engine: Engine) -> None:
    shown = next((word for word in words if word not in ("FULL", "EXTENDED")), "")
    allowed = {"TABLES"} if engine is Engine.LAKE else _SHOWS
    if shown not in allowed or "SETTINGS" in words or "FORMAT" in words or "INTO" in words:
        raise QueryRefusedError(f"SHOW {shown or '...'} is refused: what can be shown is {', '.join(sorted(allowed))}")
    if "USER" in words or "ROLE" in words:
        raise QueryRefusedError("SHOW CREATE is refused for users and roles: name a table, a view or a database")


def _parsed(text: str, dialect: str) -> exp.Query:
    try:
        [query] = sqlglot.parse(text, read=dialect)
    except RecursionError as error:
        raise QueryRefusedError("this is nested too deeply to be looked through, so it is not run") from error
    except (SqlglotError, ValueError) as error:
        raise QueryRefusedError(f"this can't be parsed as a query, so it is not run: {_said(error)}") from error
    if query is None:
        raise QueryRefusedError("there is no statement")
    if not isinstance(query, exp.Query):
        raise QueryRefusedError(f"{_called(query)} is refused: {_READS}")
    return query


def _refuse_nodes(query: exp.Query) -> None:
    for node in query.walk():
        if isinstance(node, _WRITING):
            raise QueryRefusedError(f"{_called(node)} is refused: {_READS}")
        if isinstance(node, (exp.Placeholder, exp.Parameter)):
            raise QueryRefusedError(f"{node.sql()} is refused: there are no parameters, write the value itself")
        for clause in ("settings", "format"):
            if isinstance(node, exp.Query) and node.args.get(clause):
                raise QueryRefusedError(f"{clause.upper()} is refused: limits and format of the answer are given here")


def _tables(query: exp.Query, engine: Engine, shift: int) -> Iterator[TableNamed]:
    defined = {each.alias.lower() for each in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        named = table.this
        if not isinstance(named, exp.Identifier):
            _refuse_function(named, engine)
            continue
        if table.catalog:
            raise QueryRefusedError(f"{table.sql()}: a table is named by at most two names")
        if re.search(r"[/\\*?{}]|\.\.|://", f"{table.db}{named.name}"):
            raise QueryRefusedError(f"{named.name!r} is a file or a pattern, not a table")
        if table.db.lower() == "system":
            _refuse_system(named.name)
        if not table.db and named.name.lower() in defined:
            continue
        first = table.args.get("db") or named
        start, end = first.meta.get("start"), named.meta.get("end")
        if start is None or end is None:
            raise QueryRefusedError(f"{table.sql()}: it is not clear where this table stands; name it plainly")
        is_aliased = bool(table.alias)
        yield TableNamed(_name(table.args.get("db")), _name(named), start + shift, end + 1 + shift, is_aliased)


def _name(identifier: exp.Identifier | None) -> str:
    if identifier is None:
        return ""
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def _refuse_function(function: exp.Expr, engine: Engine) -> None:
    name = function.name if isinstance(function, exp.Anonymous) else type(function).__name__
    if name.lower() not in TABLE_FUNCTIONS[engine]:
        allowed = ", ".join(sorted(TABLE_FUNCTIONS[engine] - {"explodinggenerateseries"}))
        raise QueryRefusedError(f"{name.lower()}(...) is refused as a table; what is allowed is: {allowed}")


def _called(node: exp.Expr) -> str:
    if isinstance(node, exp.Command):
        return str(node.this).upper()
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()


def _said(error: Exception) -> str:
    first = error.errors[0] if isinstance(error, sqlglot.errors.ParseError) and error.errors else None
    if first is None:
        return re.sub(r"\x1b\[\d*m", "", str(error)).split("\n")[0]
    return f"{first['description']} at line {first['line']}, column {first['col']}"
