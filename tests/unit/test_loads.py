"""Load tests without a platform: shapes, what may be loaded, what is due, what seconds say, what is counted, what differs."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.contract.loads import (
    Balance,
    Judgement,
    LoadAsked,
    LoadReport,
    LoadSecond,
    LoadShape,
    LoadTarget,
    Observed,
    Offered,
    corners_of,
    due_at,
    due_by,
    level_at,
    peak_of,
)
from controlplane.contract.names import Hop
from controlplane.contract.operations import Kind, Operation, OperationState
from controlplane.contract.settings import Settings
from load_tests.users.events import generator
from load_tests.users.load import Load
from load_tests.users.schedule import Piece, Schedule
from load_tests.users.tally import Tally
from pipeline.loads.addresses import addresses_of, refused
from pipeline.loads.drive import load
from pipeline.loads.findings.balance import Seen
from pipeline.loads.findings.compare import compared, interval
from pipeline.loads.findings.html import written
from pipeline.loads.findings.html_compared import comparison
from pipeline.loads.findings.numbers import percentile, seconds_of, thinned
from pipeline.loads.findings.recovery import all_back, peak_reached, recoveries
from pipeline.loads.findings.report import judged, report_of
from pipeline.loads.folder import LoadFolder, LoadRun
from pipeline.loads.ids import mark, position_of, run_number
from pipeline.loads.observe import executors
from pipeline.loads.plan import plan_of
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FLASH = corners_of(LoadShape.FLASH_SALE, 80)
ID = "0123456789ab"
NOTHING = ("lost", "doubled", "uninvited")
ROOM = {"Kafka": 400.0, "the lake": 75.0}


def asked(**given: Any) -> LoadAsked:
    return LoadAsked.model_validate({"stream": "shop", "lasts": "80s", "rate": 100, **given})


def test_a_flash_sale_is_ten_times_as_much_within_ten_seconds_and_goes_back() -> None:
    assert [level_at(FLASH, at) for at in (0, 20, 30, 50, 60, 80)] == [0.1, 0.1, 1, 1, 0.1, 0.1]
    assert peak_of(FLASH) == (30, 50)
    assert level_at(FLASH, 81) == 0, "nothing after the end"


def test_a_step_goes_up_by_a_quarter_at_each_quarter() -> None:
    corners = corners_of(LoadShape.STEP, 40)
    assert [level_at(corners, at) for at in (0, 9.9, 10, 25, 35)] == [0.25, 0.25, 0.5, 0.75, 1]
    assert peak_of(corners) == (30, 40)


@given(st.sampled_from(LoadShape), st.floats(5, 20_000), st.floats(0, 1), st.floats(0, 1))
def test_what_is_due_never_gets_less_and_its_moment_is_found_again(
    shape: LoadShape, seconds: float, one: float, other: float
) -> None:
    corners = corners_of(shape, seconds)
    early, late = sorted((one * seconds, other * seconds))
    assert 0 <= due_by(corners, early) <= due_by(corners, late) <= seconds
    amount = due_by(corners, late)
    assert due_by(corners, due_at(corners, amount)) == pytest.approx(amount, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"lasts": "2s"}, "from 5s to 6h", id="too-short"),
        pytest.param({"rate": 100_000, "lasts": "10m"}, "ask for less", id="too-many-events"),
        pytest.param({"users": 17}, "16 at most", id="too-many-producers"),
        pytest.param({"rate": 0}, "greater than 0", id="no-rate"),
    ],
)
def test_what_is_too_much_is_refused_with_what_to_do(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        asked(**given)


@pytest.mark.parametrize(
    ("address", "allowed", "is_refused"),
    [
        ("127.0.0.1:9092", "", False),
        ("http://localhost:8090", "", False),
        ("[::1]:9092", "", False),
        ("kafka.example:9092", "", True),
        ("http://127.0.0.1.example:80", "", True),
        ("0.0.0.0:9092", "", True),
        ("kafka.example:9092", "kafka.example:9092", False),
        ("kafka.example:9092", "kafka.example", False),
        ("kafka.example:9093", "kafka.example:9092", True),
        ("", "", True),
    ],
)
def test_only_this_machine_is_loaded_unless_the_settings_name_another(
    address: str, allowed: str, is_refused: bool
) -> None:
    assert bool(refused([address], allowed)) == is_refused


def test_a_cluster_is_refused_by_the_plan_before_the_run_and_by_the_process_itself(tmp_path: Path) -> None:
    away = Settings(data=tmp_path, kafka="127.0.0.1:9092,kafka.example:9092")
    assert addresses_of(LoadTarget.KAFKA, away)[1] == "kafka.example:9092"
    with pytest.raises(RefusedError, match=r"kafka\.example:9092 is not on this machine.*TIDEGATE_LOAD_TARGETS"):
        plan_of(asked(), away, ROOM)
    with pytest.raises(RefusedError, match="TIDEGATE_LOAD_TARGETS"):
        load(_Working(away), asked())  # type: ignore[arg-type]  # all that it is asked for before
    LoadFolder(away, ID).begin(LoadRun(id=ID, run=1, asked=asked(), started_ms=0))
    given = {"TIDEGATE_DATA": str(tmp_path), "TIDEGATE_KAFKA": away.kafka, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-P", "-m", "load_tests.users", ID]
    found = subprocess.run(command, env=given, capture_output=True, text=True, check=False, stdin=subprocess.PIPE)
    assert (found.returncode, "kafka.example:9092 is not on this machine" in found.stderr) == (2, True)


class _Working:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.operation = Operation(
            id=ID,
            kind=Kind.LOAD_TEST,
            stream="shop",
            asked={},
            by="ana",
            at=NOW,
            changed_at=NOW,
            state=OperationState.RUNNING,
        )


def test_a_plan_says_what_is_written_what_it_takes_and_that_it_stays(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    plan = plan_of(asked(shape="flash-sale"), settings, ROOM)
    assert [stage.key for stage in plan.stages] == ["load", "settle", "balance", "report"]
    assert (plan.rows, plan.bytes, plan.confirmation) == (3500, 3500 * 475, "shop")
    assert "3,500 real events are written into shop.raw and stay" in plan.notes[0]
    assert "400 in Kafka, 75 in the lake" in plan.notes[1]
    assert any("Retry-After is not heeded" in note for note in plan.notes)
    assert plan.preview["curve"][0] == (0.0, 10.0)
    unknown = plan_of(asked(), settings, {**ROOM, "ClickHouse": None})
    assert (unknown.bytes, "unknown in ClickHouse" in unknown.notes[1]) == (None, True)
    watching = plan_of(asked(target="hub", users=500), settings, {})
    assert (watching.rows, watching.bytes) == (None, None)
    assert [stage.key for stage in watching.stages] == ["load", "settle", "report"]
    with pytest.raises(RefusedError, match="nothing makes events of orders"):
        plan_of(asked(stream="orders"), settings, {})
    with pytest.raises(RefusedError, match="GiB at least"):
        plan_of(asked(), settings, {"Kafka": 1e15, "ClickHouse": None})


def test_a_run_that_was_interrupted_is_not_begun_again(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    LoadFolder(settings, ID).begin(LoadRun(id=ID, run=1, asked=asked(), started_ms=0))
    with pytest.raises(RefusedError, match="cannot be gone on with"):
        load(_Working(settings), asked())  # type: ignore[arg-type]  # the same


def test_second_0_is_when_the_process_that_loads_is_ready_and_everyone_reads_it(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    folder = LoadFolder(settings, ID)
    folder.begin(LoadRun(id=ID, run=1, asked=asked(), started_ms=0))
    users = Load(folder.run(), settings)
    users.begin(folder)
    assert -2 <= users.now_s() < 0, "the platform is looked at before it is loaded"
    assert folder.run() == users.run
    assert folder.run().started_ms > 0


def test_a_load_that_is_ended_early_tells_what_it_has_sent(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    folder = LoadFolder(Settings(data=tmp_path), ID)
    folder.begin(LoadRun(id=ID, run=1, asked=asked(target="console"), started_ms=0))
    given = {"TIDEGATE_DATA": str(tmp_path), "TIDEGATE_API": "http://127.0.0.1:9", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-P", "-m", "load_tests.users", ID]
    with subprocess.Popen(command, env=given, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: _answered(folder), "a second in which it has sent")
        told = len(folder.offered())
        process.terminate()
        assert process.wait(30) == 0, process.stderr and process.stderr.read()
    assert len(folder.offered()) > told, "its last second as well"


def _answered(folder: LoadFolder) -> int:
    return sum(sum(each.statuses.values()) for each in folder.offered())


def test_pieces_are_due_as_the_shape_says_and_taken_once() -> None:
    schedule = Schedule(FLASH, 100, most=30)
    assert schedule.take(0) is None
    pieces = [piece for at in range(81) for _ in range(10) if (piece := schedule.take(at)) is not None]
    assert [each.start for each in pieces[1:]] == [each.until for each in pieces[:-1]]
    assert (pieces[-1].until, schedule.take(100)) == (schedule.events, None)
    cut = Schedule(FLASH, 100, most=30)
    assert cut.take(10) is not None
    cut.end(11)
    assert (cut.due(80), cut.taken, cut.take(80)) == (110, 30, None), (
        "what was due until it was ended, and no more taken"
    )
    assert all(one.due_s <= other.due_s for one, other in pairwise(pieces))
    assert pieces[0].due_s == pytest.approx(0.1), "a tenth of a hundred: the first after a tenth of a second"


@given(
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([("shop", "event_id", ""), ("flights", "id", 0)]),
)
def test_an_event_says_of_which_run_it_is_and_which_one(run: int, position: int, of: tuple[str, str, Any]) -> None:
    stream, field, kind = of
    value = {field: kind}
    mark(stream, value, run, position)
    assert position_of(value[field], run) == position
    assert position_of(value[field], run ^ 1) is None


@pytest.mark.parametrize("found", ["0123456789abcdeg", "x", None, 1.5, ""])
def test_what_names_no_event_of_a_run_is_none_of_it(found: object) -> None:
    assert position_of(found, run_number(ID)) is None


def test_the_same_run_sends_the_same_events_and_another_one_others() -> None:
    one, again, other = (generator("shop", run)(Piece(0, 3, 0.0)) for run in (7, 7, 8))
    ids = [[event["event_id"] for event in events] for events in (one, again, other)]
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])


def test_a_tally_counts_by_answer_and_keeps_times_within_five_percent() -> None:
    tally = Tally()
    for each in range(1, 101):
        tally.answered("202", each)
    tally.answered("429", 5, count=50)
    found = tally.take(1.0, 4, 200, 150)
    assert found.statuses == {"202": 100, "429": 50}
    assert percentile(found.ms, 0.99) == pytest.approx(99, rel=0.05)
    assert (tally.take(2.0, 4, 200, 150).statuses, percentile({}, 0.5)) == ({}, None)


def offered(*rows: tuple[float, int, dict[str, int]]) -> list[Offered]:
    return [
        Offered(t_s=at, users=2, due=sent, offered=sent, statuses=said, ms={"12.3": sum(said.values())})
        for at, sent, said in rows
    ]


def test_what_was_sent_and_what_was_seen_share_one_axis_and_what_nobody_said_is_unknown() -> None:
    sent = offered((1.0, 100, {"committed": 100}), (2.0, 250, {"committed": 100, "429": 30, "none": 20}))
    rows = seconds_of(asked(), sent, [Observed(t_s=2.2, lag_s={"live shop": 0.4}), Observed(t_s=3.1)])
    assert [int(each.t_s) for each in rows] == [1, 2, 3]
    assert (rows[1].offered, rows[1].accepted, rows[1].refused, rows[1].failed) == (150, 100, 30, 20)
    assert (rows[1].lag_s, rows[0].lag_s, rows[2].offered, rows[2].p99_ms) == ({"live shop": 0.4}, {}, None, None)


def test_a_long_run_is_thinned_to_the_worst_of_neighbours() -> None:
    rows = [
        LoadSecond(t_s=at, asked=1, accepted=at, p99_ms=at if at != 5 else None, lag_s={"a": at}) for at in range(10)
    ]
    found = thinned(rows, 5)
    assert [each.accepted for each in found] == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert [(each.p99_ms, each.lag_s["a"]) for each in found] == [(1, 1), (3, 3), (4, 5), (7, 7), (9, 9)]


def watched(*lags: float | None) -> list[Observed]:
    return [Observed(t_s=at * 10.0, lag_s={"live shop": lag}) for at, lag in enumerate(lags)]


@pytest.mark.parametrize(
    ("lags", "seconds", "reason"),
    [
        pytest.param((0.2, 0.2, 0.2, 3, 9, 6, 4, 0.4, 0.3, 0.2), 20.0, "", id="back-after-twenty-seconds"),
        pytest.param((3, 3, 3, 9, 9, 8, 2, 2, 2), 10.0, "", id="back-at-the-level-that-it-had-before"),
        pytest.param((0.2, 0.2, 0.2, 3, 9, 6, 0.4, 7, 7, 7), None, "not seen to be back", id="one-look-is-not-enough"),
        pytest.param((None,) * 9, None, "not known", id="unknown-is-not-back"),
        pytest.param(
            (0.1, 0.1, 0.1, 0.2, 0.2, 0.2, None, 0.1, 0.1, 0.1), 20.0, "", id="a-look-without-an-answer-is-no-proof"
        ),
    ],
)
def test_a_query_is_back_when_its_lag_stays_where_it_was(
    lags: Sequence[float | None], seconds: float | None, reason: str
) -> None:
    [found] = recoveries(watched(*lags), peak_of(FLASH))
    assert found.seconds == seconds
    assert reason in found.reason
    assert all_back([found]) == (seconds is not None)
    assert not all_back([]), "nothing known is not all back"


def test_a_load_that_was_cut_short_ended_then() -> None:
    sent = [Offered(t_s=at, users=1) for at in (1, 2, 40)]
    assert [peak_reached(FLASH, each) for each in (sent, sent[:2], [])] == [(30, 40), (2, 2), (30, 50)]


def seen(positions: Sequence[int], routed: Sequence[tuple[Hop, int]], events: int = 6) -> Seen:
    found = Seen(events, {0: 100}, {0: 110})
    for offset, position in enumerate(positions, 100):
        if position >= 0:
            found.raw(0, offset, position)
    for hop, offset in routed:
        found.routed(hop, 0, offset)
    return found


ALL = [(Hop.VALID, at) for at in (100, 101, 102)]
ACKED = [(0, 3, "202")]


@pytest.mark.parametrize(
    ("positions", "routed", "answers", "wrong"),
    [
        pytest.param((0, 1, 2), ALL, ACKED, {}, id="all-there-once"),
        pytest.param((0, 1, 2, -1), [*ALL, (Hop.VALID, 103), (Hop.DEAD, 7)], ACKED, {}, id="others-do-not-count"),
        pytest.param((0, 1, 2), [*ALL[:2], (Hop.QUARANTINE, 102)], ACKED, {}, id="quarantined-is-not-lost"),
        pytest.param((0, 1), ALL[:2], ACKED, {"lost": 1}, id="acknowledged-and-not-in-raw"),
        pytest.param((0, 1, 2), ALL[:2], ACKED, {"lost": 1}, id="in-raw-and-not-routed"),
        pytest.param((0, 1, 2, 1), [*ALL, (Hop.VALID, 103)], ACKED, {"doubled": 1}, id="twice-in-raw"),
        pytest.param((0, 1, 2), [*ALL, (Hop.VALID, 101)], ACKED, {"doubled": 1}, id="routed-twice"),
        pytest.param(
            (0, 1, 2, 3), [*ALL, (Hop.VALID, 103)], [*ACKED, (3, 4, "429")], {"uninvited": 1}, id="refused-and-there"
        ),
        pytest.param(
            (0, 1, 2, 3), [*ALL, (Hop.VALID, 103)], [*ACKED, (3, 5, "none")], {"unanswered": 2}, id="unanswered-may-be"
        ),
        pytest.param((0, 1, 2, 4), [*ALL, (Hop.VALID, 103)], ACKED, {"unanswered": 1}, id="sent-and-nobody-told"),
    ],
)
def test_a_balance_is_counted_event_by_event(
    positions: Sequence[int], routed: Sequence[tuple[Hop, int]], answers: Any, wrong: dict[str, int]
) -> None:
    found = seen(positions, routed).balance(answers)
    nothing = {"lost": 0, "doubled": 0, "uninvited": 0, "unanswered": 0}
    assert found.model_dump(include=set(nothing)) == {**nothing, **wrong}
    assert found.is_balanced == (not {"lost", "doubled", "uninvited"} & set(wrong))
    assert found.acknowledged == 3


def report(settings: Settings, number: str, p99: float) -> LoadReport:
    folder = LoadFolder(settings, number)
    folder.begin(LoadRun(id=number, run=1, asked=asked(shape="flash-sale"), started_ms=1_772_323_200_000))
    for at in range(1, 81):
        folder.add(
            Offered(
                t_s=at, users=4, due=50 * at, offered=50 * at, statuses={"committed": 50}, ms={str(p99 + at % 3): 50}
            )
        )
        folder.add(Observed(t_s=at + 0.1, lag_s={"live shop": 0.2, "<b>": 0.1}, pixel_p99_ms=120))
    balance = seen((0, 1, 2), ALL).balance(ACKED)
    return report_of(folder, settings, "ana", "whole", balance)


def test_a_report_has_its_figures_its_verdict_and_one_small_page(tmp_path: Path) -> None:
    found = report(Settings(data=tmp_path), ID, 20)
    assert (found.offered, found.statuses, found.accepted_per_s) == (4000, {"committed": 4000}, 50)
    assert (found.p50_ms, found.p99_ms, found.recovery_s, found.verdict) == (21, 22, 0.1, "good")
    page = written(found)
    assert all(each in page for each in ("Nothing lost, nothing doubled", "Executors", "Not measured", "&lt;b&gt;"))
    assert "<script" not in page
    assert "<b>" not in page, "names are text"
    assert len(page) < 100_000


def test_two_runs_differ_by_more_than_noise_or_it_says_so(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    one, same, slower = report(settings, ID, 20), report(settings, f"{ID}c", 20), report(settings, f"{ID}d", 40)
    by = {each.figure: each for each in compared(one, slower).differences}
    assert (by["p99"].is_better, by["p99"].n, by["p99"].text) == (False, (20, 20), "+95 %, more than noise: worse")
    back = {each.figure: each.text for each in compared(slower, one).differences}
    assert back["p99"] == "-49 %, more than noise: better"
    assert (by["accepted"].is_better, by["recovery"].is_better) == (None, None)
    assert "one value a run" in by["recovery"].text
    assert [each.is_better for each in compared(one, same).differences] == [None] * 5
    assert (compared(one, slower).notes, compared(one, slower).incomparable) == ((), ())


def test_runs_that_were_asked_for_otherwise_or_cut_short_are_shown_and_not_called_better(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    one, slower = report(settings, ID, 20), report(settings, f"{ID}d", 40)
    shorter = asked(shape="flash-sale", lasts="40s")
    other = slower.model_copy(update={"asked": shorter, "ended": "cut short", "settings": {"route_mode": "microbatch"}})
    found = compared(one, other)
    assert found.incomparable == ("lasts differs: 80s and 40s", f"{ID}d is not whole: cut short")
    assert "settings differ: route_mode realtime and microbatch" in found.notes
    by = {each.figure: each for each in found.differences}
    assert (by["p99"].is_better, by["p99"].text) == (None, "+95 %, more than noise")
    page = comparison(found)
    assert all(each in page for each in ("Not comparable because lasts differs", "+95 %, more than noise", "<svg"))
    assert "<script" not in page


def test_few_values_have_no_interval() -> None:
    assert interval([1.0, 2.0, 3.0]) is None
    assert interval([float(each) for each in range(20)]) == (5.0, 14.0)


def test_what_was_not_counted_is_unknown_and_what_was_refused_is_not_good() -> None:
    sent = offered((1.0, 100, {"202": 60, "429": 40}))
    found = {each.about: each for each in judged(asked(), sent, [], None)}
    assert {about: each.state for about, each in found.items()} == {
        "load": "good",
        "answers": "bad",
        "recovery": "unknown",
        "balance": "unknown",
    }
    cut = {
        each.about: each.state
        for each in judged(asked(), sent, recoveries(watched(9, 9, 9), (0, 10)), None, was_settled=False)
    }
    assert cut["recovery"] == "unknown"
    refused = Balance(
        **dict.fromkeys(("acknowledged", "unanswered", "valid", "dead", "quarantined", *NOTHING), 0), refused=40
    )
    text = next(each.text for each in judged(asked(), sent, [], refused) if each.about == "balance")
    assert "Nothing lost" in text
    assert "40 were refused and never sent again: that is no loss" in text
    late = [sent[0].model_copy(update={"due": 200})]
    assert next(iter(judged(asked(), late, [], None))) == Judgement(
        about="load", state="bad", text="100 of the 200 that were due were sent: the process that loads was too slow."
    )


@pytest.mark.parametrize(
    ("said", "is_there"),
    [
        pytest.param([{"port": "spark standalone", "have": 3}, {"port": "kubernetes", "have": 2}], 5, id="of-all"),
        pytest.param([{"port": "kubernetes", "have": 0}, None], 0, id="none-has-come-yet"),
        pytest.param([{"port": "local", "have": 0}], None, id="a-local-session-has-none-to-count"),
        pytest.param([None], None, id="nobody-has-said-so-lately"),
    ],
)
def test_executors_are_counted_where_something_scales(said: list[Any], is_there: int | None) -> None:
    assert executors({"targets": [{"executors": each} for each in said]}) == is_there
    assert executors(None) is None
