"""What is asked and answered in SQL, over ClickHouse or the lake? Read-only, within limits that the answer names."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field, JsonValue

from controlplane.contract.frozen import Frozen

PATH = "/api/v1/sql"
WITHIN_S = 20.0
"""A query ends after so long."""
ROWS_AT_MOST = 10_000
TEXT_AT_MOST = 20_000
HISTORY_KEPT = 500
"""Queries of each user."""


class Engine(StrEnum):
    """What runs a query."""

    CLICKHOUSE = "clickhouse"
    LAKE = "lake"


class QueryAsked(Frozen):
    """A query."""

    engine: Engine
    sql: str = Field(min_length=1, max_length=TEXT_AT_MOST)
    as_of: dict[str, int | str] = Field(default_factory=dict, max_length=50)
    """Lake only: `stream.table` -> version, or time in ISO 8601 (UTC when it names no other zone)."""
    limit: int = Field(1000, ge=1, le=ROWS_AT_MOST)
    """Rows of the answer at most."""


class QueryColumn(Frozen):
    """A column of an answer."""

    name: str
    type: str
    """As the engine calls it."""


class QueryAnswer(Frozen):
    """What a query found."""

    columns: tuple[QueryColumn, ...]
    rows: tuple[tuple[JsonValue, ...], ...]
    """Integers beyond 2**53 as text, for JavaScript; times in ISO 8601; bytes in base64."""
    elapsed_s: float
    rows_read: int | None = None
    """None: the engine does not say."""
    bytes_read: int | None = None
    truncated: str | None = None
    """Why there are fewer rows than it found; None: these are all."""
    versions: dict[str, int] = Field(default_factory=dict)
    """Lake: which version of each table was read."""


class QueryRan(Frozen):
    """A query of before."""

    at: AwareDatetime
    engine: Engine
    sql: str
    as_of: dict[str, int | str] = Field(default_factory=dict)
    reason: str | None = None
    """Why it was refused or failed."""
    rows: int | None = None
    elapsed_s: float | None = None


class QueryTable(Frozen):
    """What can be asked."""

    name: str
    columns: tuple[QueryColumn, ...]
    comment: str = ""


class QueryTables(Frozen):
    """What each engine has, and the limits."""

    engines: dict[Engine, tuple[QueryTable, ...]]
    reasons: dict[Engine, str] = Field(default_factory=dict)
    """Why it is not known what an engine has."""
    limits: dict[Engine, dict[str, str]]
    """In words."""
