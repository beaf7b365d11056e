"""How is an entry put on the record, and how is it found again?

Each is written in one transaction with the hash of the one before it, one after the other however many ask at once. What was hard:
what comes from outside (a path, a name, a reason) has to be text that every database takes and that hashes the same when it is read
again; so it is made plain before it is hashed.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select

from controlplane.contract.audit import FIRST, AuditEntry, hash_of
from controlplane.contract.frozen import Frozen
from controlplane.service.audit.request import HEARD
from controlplane.service.audit.table import entries
from controlplane.service.database import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import JsonValue
    from sqlalchemy import ColumnElement, Engine, Row

_TEXT_AT_MOST = 1000
_DETAILS_AT_MOST = 16_000
_PAGE = 500
_NO_TIME = datetime.min.replace(tzinfo=UTC)


class Wanted(Frozen):
    """Which entries; None: whichever."""

    actor: str | None = None
    action: str | None = None
    """Or its beginning and a star, such as `operation.*`."""
    subject: str | None = None
    stream: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """`[since, until)`."""
    text: str | None = None
    """Somewhere in actor, action, subject, reason or details, in any case of letters."""


class AuditLog:
    """The record in a database; every method may be called from any thread."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now
        self.grown = threading.Event()
        """Set when there is a new entry; cleared by who carries them on."""

    def record(  # noqa: PLR0913 (the fields of an entry)
        self,
        actor: str,
        by: str,
        action: str,
        subject: str,
        *,
        stream: str | None = None,
        outcome: str = "ok",
        reason: str | None = None,
        address: str | None = None,
        details: Mapping[str, JsonValue] | None = None,
    ) -> AuditEntry:
        """Put an entry on the record; not from inside of a transaction of `writing`, which it would wait for.

        Raises:
            SQLAlchemyError: if it can't be written; then it is not on the record.
        """
        heard = HEARD.get()
        said = {
            "actor": plain(actor),
            "by": plain(by),
            "action": plain(action),
            "subject": plain(subject),
            "stream": plain(stream),
            "outcome": outcome,
            "reason": plain(reason),
            "address": plain(heard.address if address is None and heard is not None else address),
            "details": _details(details or {}),
        }
        with writing(self._engine, "audit") as connection:
            last = connection.execute(select(entries.c.seq, entries.c.hash).order_by(entries.c.seq.desc()).limit(1))
            seq, before = last.one_or_none() or (0, FIRST)
            unsealed = AuditEntry(seq=seq + 1, at=self._now(), before=before, hash="", **said)
            entry = unsealed.model_copy(update={"hash": hash_of(unsealed)})
            connection.execute(insert(entries), _row(entry))
        if heard is not None:
            heard.entries.append(entry)
        self.grown.set()
        return entry

    def last(self) -> tuple[int, str]:
        """Number and hash of the newest entry; 0 and `FIRST` when there is none."""
        with self._engine.connect() as connection:
            found = connection.execute(select(entries.c.seq, entries.c.hash).order_by(entries.c.seq.desc()).limit(1))
            seq, sealed = found.one_or_none() or (0, FIRST)
            return int(seq), str(sealed)

    def entry(self, seq: int) -> AuditEntry | None:
        """One entry."""
        return next(iter(self._read(entries.c.seq == seq, 1)), None)

    def search(self, wanted: Wanted, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Entries that fit, the newest first.

        Args:
            wanted: which.
            limit: so many at most.
            before: only those with a smaller number: the last of the page before.
        """
        fits = _fits(wanted)
        if before is not None:
            fits = and_(fits, entries.c.seq < before)
        return self._read(fits, limit, is_newest_first=True)

    def after(self, seq: int, limit: int = _PAGE) -> list[AuditEntry]:
        """The entries that follow one, the oldest first."""
        return self._read(entries.c.seq > seq, limit)

    def walk(self) -> Iterator[AuditEntry]:
        """Every entry, the oldest first; those that come meanwhile too."""
        seq = -1
        while page := self._legible(seq):
            yield from page
            seq = page[-1].seq

    def _legible(self, seq: int) -> list[AuditEntry]:
        """The next entries; one whose time cannot even be read has none, and so another hash."""
        try:
            return self.after(seq)
        except ValueError:
            no_time = select(*(each for each in entries.c if each.name != "at")).where(entries.c.seq > seq)
            with contextlib.suppress(ValueError):
                return self.after(seq, 1)
            with self._engine.connect() as connection:
                return [_entry(row) for row in connection.execute(no_time.order_by(entries.c.seq).limit(1))]

    def count_after(self, seq: int) -> tuple[int, datetime | None]:
        """How many follow that one, and when the oldest of them was written."""
        with self._engine.connect() as connection:
            asked = select(func.count(), func.min(entries.c.at)).where(entries.c.seq > seq)
            count, at = connection.execute(asked).one()
            return int(count), at

    def _read(self, fits: ColumnElement[bool], limit: int, *, is_newest_first: bool = False) -> list[AuditEntry]:
        order = entries.c.seq.desc() if is_newest_first else entries.c.seq
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(select(entries).where(fits).order_by(order).limit(limit))]


def plain(text: str | None) -> Any:  # noqa: ANN401 (a text, or None when there is none)
    """A text that every database takes: no NUL, no half of a surrogate pair, not endless."""
    if text is None:
        return None
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()[:_TEXT_AT_MOST]


def _details(said: Mapping[str, JsonValue]) -> dict[str, Any]:
    """As JSON has it: what is read again is what was hashed."""
    kept = {plain(str(key)): _kept(value) for key, value in said.items()}
    size = len(json.dumps(kept))
    return (
        kept if size <= _DETAILS_AT_MOST else {"left_out": f"{size} characters of JSON, more than {_DETAILS_AT_MOST}"}
    )


def _kept(value: Any) -> Any:  # noqa: ANN401 (whatever is in JSON)
    match value:
        case dict():
            return {plain(str(key)): _kept(each) for key, each in value.items()}
        case list() | tuple():
            return [_kept(each) for each in value]
        case bool() | int() | None:
            return value
        case float() if math.isfinite(value):
            return value
        case _:
            return plain(str(value))


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {**entry.model_dump(), "details": json.dumps(entry.details)}


def _entry(row: Row[Any]) -> AuditEntry:
    """As it is in the database, however wrong: what does not fit its hash is for `chain` to say."""
    said = {"at": _NO_TIME, **row._mapping}  # noqa: SLF001 (SQLAlchemy's public name for it)
    try:
        details = json.loads(said["details"])
    except (ValueError, TypeError):
        details = {"unreadable": str(said["details"])}
    return AuditEntry.model_construct(**{**said, "details": details})


def _fits(wanted: Wanted) -> ColumnElement[bool]:
    table = entries.c
    fits: list[ColumnElement[bool]] = [
        table[name] == value
        for name in ("actor", "subject", "stream", "outcome")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.action is not None:
        is_prefix = wanted.action.endswith("*")
        fits.append(
            table.action.startswith(wanted.action[:-1], autoescape=True) if is_prefix else table.action == wanted.action
        )
    if wanted.since is not None:
        fits.append(table.at >= wanted.since)
    if wanted.until is not None:
        fits.append(table.at < wanted.until)
    if wanted.text:
        looked_in = (table.actor, table.action, table.subject, table.reason, table.details)
        fits.append(or_(*(each.icontains(wanted.text, autoescape=True) for each in looked_in)))
    return and_(table.seq > 0, *fits)
