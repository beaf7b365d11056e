"""A ledger's past is kept as it was: changes with their time, gaps as gaps; a broken disk costs only the past."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import LedgerPartition, LedgerTaken, Verdict
from controlplane.service.history import KEPT, HistoryFile
from controlplane.service.ledger import POINTS_AT_MOST, SHOWN, LedgerHistory, ledger_frame, thinned
from controlplane.service.state import STALE_AFTER, Known

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from controlplane.contract.push import LedgerPoint

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = LedgerPartition(
    partition=0, raw_from=0, raw_until=12, produced=10, valid=8, dead=1, quarantined=1, lake=8, serving=7
)


def taken(seconds: float, verdict: Verdict = Verdict.BALANCED, stream: str = "shop") -> LedgerTaken:
    return LedgerTaken(
        at=NOW + timedelta(seconds=seconds), stream=stream, partitions=(ONE,), verdict=verdict, reason="so"
    )


def history(*accounts: LedgerTaken) -> LedgerHistory:
    kept = LedgerHistory()
    kept.fold(accounts, NOW)
    return kept


def points(*accounts: LedgerTaken) -> tuple[LedgerPoint, ...]:
    return history(*accounts).points("shop", NOW)


def test_a_point_a_minute_and_one_when_the_verdict_changes() -> None:
    found = points(taken(-120), taken(-119), taken(-90, Verdict.UNBALANCED), taken(-60), taken(-59))
    assert [((each.at - NOW).total_seconds(), each.verdict) for each in found] == [
        (-120, Verdict.BALANCED),
        (-90, Verdict.UNBALANCED),
        (-60, Verdict.BALANCED),
    ]


def test_a_point_has_the_counts_over_all_partitions() -> None:
    [point] = points(taken(-1))
    assert (point.produced, point.routed, point.lake, point.serving) == (10, 10, 8, 7)


def test_a_verdict_that_goes_to_and_fro_costs_no_more_than_one_point_a_minute_each() -> None:
    to_and_fro = [taken(-60 + second, [Verdict.BALANCED, Verdict.IN_FLIGHT][second % 2]) for second in range(60)]
    assert len(points(*to_and_fro)) == 2


def test_an_account_folded_twice_is_one_point() -> None:
    account = taken(-1)
    assert len(points(account, account)) == 1


def test_the_frame_has_the_most_telling_of_each_minute_and_no_point_where_nothing_was_known() -> None:
    kept = history(taken(-300), taken(-290, Verdict.UNBALANCED), taken(-280, Verdict.IN_FLIGHT), taken(-10), taken(0))
    [stream] = ledger_frame(Known(), kept, {"shop": "Web shop"}, NOW).streams
    assert [each.verdict for each in stream.history] == [Verdict.UNBALANCED, Verdict.BALANCED, Verdict.BALANCED]
    assert (stream.verdict, stream.taken) == (Verdict.UNKNOWN, None)


def test_an_old_account_is_shown_and_its_verdict_is_unknown() -> None:
    known = Known()
    known.fold([taken(0)])
    later = NOW + 2 * STALE_AFTER
    [stream] = ledger_frame(known, LedgerHistory(), {"shop": "Web shop"}, later).streams
    assert stream.verdict is Verdict.UNKNOWN
    assert stream.taken == known.ledger("shop")


def test_no_more_points_go_out_than_a_strip_can_show() -> None:
    many = [taken(-60 * minute) for minute in range(POINTS_AT_MOST + 60)]
    assert len(points(*many)) <= POINTS_AT_MOST + 1
    assert len(thinned(points(*many))) == POINTS_AT_MOST


def test_what_is_older_than_the_strip_is_let_go() -> None:
    assert points(taken(-SHOWN.total_seconds() - 61)) == ()


def test_the_points_survive_a_restart(tmp_path: Path) -> None:
    before, file = history(taken(-70), taken(-5), taken(-5, stream="flights")), tmp_path / "control" / "history.sqlite"
    assert HistoryFile(file).save(before.take_unsaved(), NOW)
    after = LedgerHistory()
    after.restore(HistoryFile(file).load(NOW - SHOWN), NOW)
    assert after.points("shop", NOW) == before.points("shop", NOW)
    assert len(after.points("flights", NOW)) == 1
    assert after.take_unsaved() == []


def test_points_of_one_stream_are_found_by_their_time(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.sqlite")
    file.save(history(taken(-70), taken(-5), taken(-5, stream="flights")).take_unsaved(), NOW)
    assert [name for name, _ in file.load(NOW - timedelta(seconds=10), "shop")] == ["shop"]


def test_points_are_forgotten_after_thirty_days(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.sqlite")
    file.save(history(taken(0)).take_unsaved(), NOW)
    file.save([], NOW + KEPT + timedelta(minutes=2))
    assert file.load(NOW - timedelta(days=1)) == []


def test_a_damaged_file_is_set_aside_and_history_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"this is not a database, and never was one" * 100)
    file = HistoryFile(path)
    assert file.load(NOW - SHOWN) == []
    assert file.save(history(taken(0)).take_unsaved(), NOW)
    assert len(file.load(NOW - SHOWN)) == 1
    assert path.with_suffix(".damaged").exists()
    assert "is damaged" in caplog.text


def test_a_full_disk_is_logged_once_and_the_points_are_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(HistoryFile):
        def _opened(self) -> sqlite3.Connection:
            raise sqlite3.OperationalError("database or disk is full")

    file, kept = Full(tmp_path / "history.sqlite"), history(taken(0))
    for _ in range(3):
        unsaved = kept.take_unsaved()
        assert not file.save(unsaved, NOW)
        kept.put_back(unsaved)
    assert len(caplog.records) == 1
    assert HistoryFile(tmp_path / "history.sqlite").save(kept.take_unsaved(), NOW)


def test_a_folder_that_cannot_be_made_costs_only_the_past(tmp_path: Path) -> None:
    (tmp_path / "control").write_text("a file where a folder should be")
    assert not HistoryFile(tmp_path / "control" / "history.sqlite").save(history(taken(0)).take_unsaved(), NOW)
