"""Where are the entries, and what keeps them as they were written? The database itself refuses to change or to take one out.

Who may write to the database's files can get around that, and then the chain of hashes shows it. An entry that is put in has to be
the next one, so that `INSERT OR REPLACE` takes none out either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, String, Table, Text, event

from controlplane.service.database import Moment, metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ExecutableDDLElement

_ONLY_GROWS = "the audit log only grows: no entry is changed or taken out"
_NEXT = "coalesce((SELECT max(seq) FROM audit), 0) + 1"

entries = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", String, nullable=False),
    Column("by", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("stream", String),
    Column("outcome", String, nullable=False),
    Column("reason", Text),
    Column("address", String),
    Column("details", Text, nullable=False),
    Column("before", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_at", "at"),
    Index("audit_actor", "actor"),
    Index("audit_subject", "subject"),
)
"""One row an entry; `details` is JSON as text."""

_SQLITE = (
    f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{_ONLY_GROWS}'); END",
    f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{_ONLY_GROWS}'); END",
    (
        f"CREATE TRIGGER audit_next BEFORE INSERT ON audit WHEN NEW.seq <> {_NEXT} "
        f"BEGIN SELECT RAISE(ABORT, '{_ONLY_GROWS}, and what is added is the next'); END"
    ),
)
_POSTGRES = (
    (
        "CREATE OR REPLACE FUNCTION audit_only_grows() RETURNS trigger AS $body$ BEGIN "
        f"IF TG_OP = 'INSERT' THEN IF NEW.seq = {_NEXT} THEN RETURN NEW; END IF; END IF; "
        f"RAISE EXCEPTION '{_ONLY_GROWS}'; END $body$ LANGUAGE plpgsql"
    ),
    (
        "CREATE TRIGGER audit_only_grows BEFORE INSERT OR UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_only_grows()"
    ),
    "CREATE TRIGGER audit_never_empty BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()",
)
_ddl: Callable[[str], ExecutableDDLElement] = DDL
"""SQLAlchemy gives it no types."""
for _dialect, _statements in (("sqlite", _SQLITE), ("postgresql", _POSTGRES)):
    for _statement in _statements:
        event.listen(entries, "after_create", _ddl(_statement).execute_if(dialect=_dialect))
