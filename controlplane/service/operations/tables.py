"""In which tables are operations kept?

An operation is one row of JSON beside the columns that it is sought by. Its plan and its result, which are long, and its stages,
which change all the time, are apart: progress does not write the plan of a year again every second, and a list reads neither.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from controlplane.service.database import Moment, metadata

OPERATIONS = Table(
    "operations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("stream", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("undoes", String(40)),
    Column("body", Text, nullable=False),
    Column("plan", Text),
    Column("result", Text),
    Column("lease", String(40)),
    Column("leased_until", Moment),
    Column("worker", String(200)),
    Column("fruitless", Integer, nullable=False, default=0),
    Index("operations_by_state", "state"),
    Index("operations_by_undoes", "undoes"),
)
STAGES = Table(
    "operation_stages",
    metadata,
    Column("operation", ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)
LINES = Table(
    "operation_lines",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("operation", ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("text", Text, nullable=False),
    Index("operation_lines_by_operation", "operation", "number"),
)
KEYS = Table(
    "operation_keys",
    metadata,
    Column("by", String(200), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("asked", String(64), nullable=False),
    Column("operation", String(40), nullable=False),
    Column("at", Moment, nullable=False),
)
SCHEDULES = Table(
    "operation_schedules",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("body", Text, nullable=False),
)
