"""The record: what the database refuses, and what the chain shows of what was done behind its back."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from controlplane.contract.audit import FIRST, AuditEntry, hash_of
from controlplane.service.audit.chain import Wrong, judged
from controlplane.service.audit.log import AuditLog, Wanted
from controlplane.service.database import create_all, engine_of

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

AT = datetime(2026, 11, 26, 8, tzinfo=UTC)


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    """Where which database it is makes no difference."""
    made = engine_of(f"sqlite:///{tmp_path / 'control.sqlite'}")
    create_all(made)
    return made


def log_of(engine: Engine, count: int = 0) -> AuditLog:
    log = AuditLog(engine, lambda: AT)
    for number in range(1, count + 1):
        log.record("ann", "session", "scaling.post", f"lake-{number}", stream="shop", details={"executors": number})
    return log


def copy_of(log: AuditLog) -> list[tuple[int, str]]:
    return [(each.seq, each.hash) for each in log.walk()]


def behind_its_back(engine: Engine, *statements: str) -> None:
    """As who has the database's files can."""
    with engine.begin() as connection:
        drops = [f"DROP TRIGGER {each}" for each in ("audit_no_update", "audit_no_delete", "audit_next")]
        for statement in (*drops, *statements):
            connection.execute(text(statement))


def test_each_entry_has_the_hash_of_the_one_before_and_its_own(database: Engine) -> None:
    log = log_of(database, 3)
    found = list(log.walk())
    assert [each.seq for each in found] == [1, 2, 3]
    assert [each.before for each in found] == [FIRST, found[0].hash, found[1].hash]
    assert all(each.hash == hash_of(each) for each in found)
    assert log.last() == (3, found[2].hash)
    assert judged(log.walk(), copy_of(log)).model_dump(include={"holds", "entries", "copied"}) == {
        "holds": True,
        "entries": 3,
        "copied": 3,
    }


def test_those_who_record_at_once_stand_one_after_the_other(database: Engine) -> None:
    log = log_of(database)
    threads = [
        threading.Thread(target=lambda: [log.record("ann", "token", "query.run", "lake") for _ in range(10)])
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert judged(log.walk(), None).model_dump(include={"holds", "entries"}) == {"holds": True, "entries": 60}


_COPIED = "by, action, subject, stream, outcome, reason, address, details, before, hash FROM audit WHERE seq = 1"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'eve' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 1",
        f"INSERT INTO audit SELECT 9, at, actor, {_COPIED}",
        {"sqlite": f"INSERT OR REPLACE INTO audit SELECT seq, at, 'eve', {_COPIED}", "postgresql": "TRUNCATE audit"},
    ],
    ids=["changes-one", "takes-one-out", "leaves-numbers-out", "replaces-one-or-empties-it"],
)
def test_the_database_refuses_a_statement_that(database: Engine, statement: str | dict[str, str]) -> None:
    log_of(database, 2)
    said = statement if isinstance(statement, str) else statement[database.dialect.name]
    with pytest.raises(DBAPIError, match="only grows"), database.begin() as connection:
        connection.execute(text(said))
    assert judged(AuditLog(database).walk(), None).entries == 2


@pytest.mark.parametrize(
    ("statement", "wrong", "seq"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE seq = 3", Wrong.CHANGED, 3),
        ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE seq = 2", Wrong.CHANGED, 2),
        ("UPDATE audit SET at = 'yesterday' WHERE seq = 2", Wrong.CHANGED, 2),
        ("UPDATE audit SET details = '{\"executors\": 9}' WHERE seq = 1", Wrong.CHANGED, 1),
        ("UPDATE audit SET details = 'no JSON' WHERE seq = 4", Wrong.CHANGED, 4),
        ("UPDATE audit SET hash = before WHERE seq = 5", Wrong.CHANGED, 5),
        ("DELETE FROM audit WHERE seq = 1", Wrong.MISSING, 1),
        ("DELETE FROM audit WHERE seq IN (3, 4)", Wrong.MISSING, 3),
        ("DELETE FROM audit WHERE seq >= 4", Wrong.CUT_OFF, 4),
        ("DELETE FROM audit", Wrong.CUT_OFF, 1),
    ],
)
def test_the_first_wrong_entry_is_named_after(sqlite: Engine, statement: str, wrong: Wrong, seq: int) -> None:
    log = log_of(sqlite, 5)
    copy = copy_of(log)
    behind_its_back(sqlite, statement)
    verdict = judged(log.walk(), copy)
    assert (verdict.holds, verdict.wrong, verdict.wrong_seq, verdict.entries) == (False, wrong, seq, seq - 1)
    assert verdict.reason


def rewritten(log: AuditLog, at: int) -> list[AuditEntry]:
    """As who can compute hashes writes an entry, and all that follow, anew."""
    made: list[AuditEntry] = []
    for each in log.walk():
        changes = {"before": made[-1].hash if made else FIRST, **({"actor": "eve"} if each.seq == at else {})}
        changed = each.model_copy(update=changes)
        made.append(changed.model_copy(update={"hash": hash_of(changed)}))
    return made


def test_a_chain_that_is_written_anew_from_an_entry_on_is_seen_beside_the_copy_only(sqlite: Engine) -> None:
    log = log_of(sqlite, 4)
    forged = rewritten(log, 3)
    assert judged(forged, None).holds
    verdict = judged(forged, copy_of(log))
    assert (verdict.wrong, verdict.wrong_seq, verdict.copied) == (Wrong.INSERTED, 3, 3)


def test_an_entry_that_was_put_in_with_a_right_hash_of_its_own_is_not_followed_by_the_next(sqlite: Engine) -> None:
    log = log_of(sqlite, 4)
    forged = [*rewritten(log, 2)[:2], *list(log.walk())[2:]]
    verdict = judged(forged, None)
    assert (verdict.wrong, verdict.wrong_seq, verdict.copied) == (Wrong.INSERTED, 3, None)


def test_a_copy_that_lags_or_begins_late_is_no_sign_of_anything(sqlite: Engine) -> None:
    log = log_of(sqlite, 5)
    verdict = judged(log.walk(), copy_of(log)[2:4])
    assert (verdict.holds, verdict.entries, verdict.copied) == (True, 5, 2)


def test_what_no_database_takes_is_made_plain_and_hashes_the_same_when_read(database: Engine) -> None:
    log = log_of(database)
    log.record(
        "a\0b\ud800",
        "none",
        "x",
        "\N{GRINNING FACE}" * 3000,
        outcome="refused",
        details={"nan": float("nan"), "deep": [{"\0": "\ud83d"}], "at": 1.5},
    )
    [entry] = log.walk()
    assert entry.actor == "a\N{REPLACEMENT CHARACTER}b?"
    assert len(entry.subject) == 1000
    assert entry.details == {"nan": "nan", "deep": [{"\N{REPLACEMENT CHARACTER}": "?"}], "at": 1.5}
    assert judged(log.walk(), None).holds


def test_details_that_are_too_long_are_left_out_and_that_is_said(sqlite: Engine) -> None:
    log = log_of(sqlite)
    entry = log.record("ann", "session", "x", "y", details={"steps": ["x" * 900] * 30})
    assert "left_out" in entry.details


def test_a_search_finds_by_every_field_and_pages_from_the_newest_on(database: Engine) -> None:
    times = iter(AT + timedelta(minutes=number) for number in range(10))
    log = AuditLog(database, lambda: next(times))
    log.record("ann", "session", "operation.confirm", "op-1", stream="shop")
    log.record("bob", "token", "operation.cancel", "op-1", outcome="refused", reason="50% may not")
    log.record("bob", "token", "query.run", "lake", details={"sql": "SELECT 1"})

    def found(before: int | None = None, limit: int = 10, **wanted: object) -> list[int]:
        return [each.seq for each in log.search(Wanted.model_validate(wanted), limit, before)]

    assert found() == [3, 2, 1]
    assert found(limit=2) == [3, 2]
    assert found(limit=2, before=2) == [1]
    assert found(actor="bob") == [3, 2]
    assert found(action="operation.*") == [2, 1]
    assert found(action="operation") == []
    assert found(subject="op-1", outcome="ok") == [1]
    assert found(stream="shop") == [1]
    assert found(since=AT + timedelta(minutes=1), until=AT + timedelta(minutes=2)) == [2]
    assert found(text="select") == [3]
    assert found(text="0%") == [2]
    assert found(text="%") == [2]


def test_what_waits_to_be_copied_is_counted_with_the_age_of_the_oldest(database: Engine) -> None:
    log = log_of(database, 3)
    assert log.count_after(1) == (2, AT)
    assert log.count_after(3) == (0, None)
