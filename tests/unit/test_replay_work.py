"""Work on turned-away records: planned, run as planned, refused, cancelled, gone on with; and what the API says to mistakes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from confluent_kafka import KafkaError, KafkaException
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from controlplane.commands import quarantine as quarantine_commands
from controlplane.contract.access import USER_HEADER
from controlplane.contract.fix_steps import SetField
from controlplane.contract.replays import Action, Selection, Work, WorkAsked, WorkState
from pipeline.feed.shop import event
from quality.inbox.inbox import Inbox
from quality.inbox.markers import Markers
from quality.quarantine import add_quarantine
from quality.rejects.record import SCHEMA
from quality.rejects.table import Place, RejectsTable
from quality.replay import pace as pace_module
from quality.replay import work as work_module
from quality.replay.fit import Fit
from quality.replay.kept import WorkFiles
from quality.replay.revalidate import RuleUnknownError
from quality.replay.work import Desk, WorkRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from controlplane.contract.replays import Marker
    from controlplane.contract.streams import StreamDefinition
    from quality.replay.today import Today
    from quality.replay.writer import Outgoing

COUNT = 30
FIX = WorkAsked(steps=(SetField(field="quantity", value=2),))


class FakeSchemas:
    """A registry with one schema."""

    def __init__(self, avro: dict[str, Any]) -> None:
        self.avro = avro

    def of_id(self, schema_id: int) -> dict[str, Any] | None:
        return self.avro if schema_id == 1 else None

    def versions(self, subject: str) -> dict[int, dict[str, Any]]:
        return {1: self.avro} if subject.endswith(".raw-value") else {}


class FakeWriter:
    """Takes what is sent, once an id, and may be told to fail or to wait."""

    def __init__(self, markers: Markers) -> None:
        self.markers = markers
        self.sent: list[Outgoing] = []
        self.failures = 0
        self.may_go = threading.Event()
        self.may_go.set()

    def begin(self) -> None:
        pass

    def end(self) -> None:
        pass

    def write(self, records: Sequence[Outgoing], marker: Callable[[str, str | None], Marker]) -> int:
        self.may_go.wait(10)
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        left = [each for each in records if self.markers.of(each.id) is None]
        for each in left:
            self.sent.append(each)
            self.markers.fold(self.markers.next_offset, each.id, marker(each.id, f"0:{len(self.sent)}"))
        return len(left)


def rules(_: Today, events: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [("quantity_in_range",) if each["quantity"] < 1 else () for each in events]


class Office:
    """A desk over a table in a folder; `again` is the next process."""

    def __init__(self, shop: StreamDefinition, folder: Path, rules: Any = rules) -> None:
        self.shop, self.folder, self.rules = shop, folder, rules
        self.markers = Markers()
        self.writer = FakeWriter(self.markers)
        self.table = RejectsTable(str(folder / "lake"), "shop")
        self.table.append(self._rows(), {Place("shop.quarantine", 0): COUNT})
        self.desk = self._desk()

    def _rows(self) -> pa.Table:
        now, fit = datetime.now(UTC), Fit(1, self.shop.avro_schema, self.shop.avro_schema)
        made = []
        for number in range(COUNT):
            encoded = fit.encoded({**event(5, number, 0.0, now).value, "quantity": 0})
            assert isinstance(encoded, tuple)
            at = now - timedelta(minutes=number)
            made.append({"id": f"quarantine:0:{number}", "reason": "rule_broken", "rules": "quantity_in_range",
                         "rejected_at": at, "day": at.date(), "schema_id": 1, "value": encoded[0]})  # fmt: skip
        return pa.Table.from_pylist(made, schema=SCHEMA)

    def _desk(self) -> Desk:
        inbox = Inbox(self.shop, self.table, self.markers, FakeSchemas(self.shop.avro_schema))  # type: ignore[arg-type]
        inbox.index.add(self.table.load())
        files = WorkFiles(self.folder / "replays")
        desk = Desk(inbox, self.writer, files, self.rules)  # type: ignore[arg-type]
        desk.start(files.load())
        return desk

    def again(self) -> None:
        self.desk.close()
        self.desk = self._desk()


@pytest.fixture
def office(shop: StreamDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(pace_module, "CHUNK", 10)
    monkeypatch.setattr(work_module, "_AGAIN_AFTER_S", 0.01)
    one = Office(shop, tmp_path)
    yield one
    one.writer.may_go.set()
    one.desk.close()


@pytest.fixture
def ended(eventually: Callable[..., Any]) -> Callable[..., Work]:
    def wait(office: Office, work: str, state: WorkState) -> Work:
        found: Work = eventually(
            lambda: (one := office.desk.works[work]) and one.state is state and one, f"{work} is {state}", 10
        )
        return found

    return wait


def test_what_was_planned_is_what_runs_though_more_has_come_since(office: Office, ended: Callable[..., Work]) -> None:
    plan = ended(office, office.desk.ask(FIX).id, WorkState.PLANNED)
    assert (plan.records, plan.counts) == (COUNT, {"ready": COUNT})
    later = office._rows().slice(0, 1).to_pylist()[0]
    added = pa.Table.from_pylist([{**later, "id": "quarantine:0:999"}], schema=SCHEMA)
    office.table.append(added, {Place("shop.quarantine", 0): 1000})
    office.desk.inbox.index.add(added)
    office.desk.run(plan.id, None)
    done = ended(office, plan.id, WorkState.DONE)
    assert (done.done, done.skipped, len(office.writer.sent)) == (COUNT, 0, COUNT)


def test_two_replays_of_the_same_records_send_each_once(office: Office, ended: Callable[..., Work]) -> None:
    first, second = (ended(office, office.desk.ask(FIX).id, WorkState.PLANNED) for _ in range(2))
    office.desk.run(first.id, None)
    office.desk.run(second.id, None)
    assert ended(office, second.id, WorkState.DONE).skipped == COUNT
    assert len({each.id for each in office.writer.sent}) == len(office.writer.sent) == COUNT


def test_what_is_still_broken_stays_unless_it_is_to_go_all_the_same(office: Office, ended: Callable[..., Work]) -> None:
    plan = ended(office, office.desk.ask(WorkAsked()).id, WorkState.PLANNED)
    assert (plan.counts, plan.broken) == ({"broken": COUNT}, {"quantity_in_range": COUNT})
    office.desk.run(plan.id, None)
    assert ended(office, plan.id, WorkState.DONE).done == 0
    anyway = ended(office, office.desk.ask(WorkAsked(even_if_broken=True)).id, WorkState.PLANNED)
    office.desk.run(anyway.id, None)
    assert ended(office, anyway.id, WorkState.DONE).done == COUNT


def test_a_cancelled_one_keeps_what_is_done_and_may_go_on(office: Office, ended: Callable[..., Work]) -> None:
    plan = ended(office, office.desk.ask(FIX).id, WorkState.PLANNED)
    office.writer.may_go.clear()
    office.desk.run(plan.id, None)
    office.desk.cancel(plan.id)
    office.writer.may_go.set()
    assert ended(office, plan.id, WorkState.CANCELLED).done == 10, "the transaction that was open"
    office.desk.run(plan.id, None)
    assert ended(office, plan.id, WorkState.DONE).done == COUNT
    with pytest.raises(WorkRefusedError, match="is done"):
        office.desk.cancel(plan.id)


def test_the_next_process_goes_on_with_what_was_running(
    office: Office, ended: Callable[..., Work], eventually: Callable[..., Any]
) -> None:
    plan = ended(office, office.desk.ask(FIX).id, WorkState.PLANNED)
    office.desk.run(plan.id, 10)
    eventually(lambda: len(office.writer.sent) >= 10, "a part of it is sent", 10)
    office.again()
    done = ended(office, plan.id, WorkState.DONE)
    assert (done.done, len(office.writer.sent)) == (COUNT, COUNT)
    office.again()
    assert office.desk.works[plan.id].done == COUNT


def test_a_broker_that_is_away_for_a_moment_is_asked_again(office: Office, ended: Callable[..., Work]) -> None:
    plan = ended(office, office.desk.ask(FIX).id, WorkState.PLANNED)
    office.writer.failures = 2
    office.desk.run(plan.id, None)
    assert ended(office, plan.id, WorkState.DONE).done == COUNT


def test_a_broker_that_stays_away_fails_it_with_the_reason_and_it_may_be_run_again(
    office: Office, ended: Callable[..., Work]
) -> None:
    plan = ended(office, office.desk.ask(FIX).id, WorkState.PLANNED)
    office.writer.failures = 5
    office.desk.run(plan.id, None)
    failed = ended(office, plan.id, WorkState.FAILED)
    assert "given up after 5 attempts" in str(failed.reason)
    office.desk.run(plan.id, None)
    assert ended(office, plan.id, WorkState.DONE).done == COUNT


def test_a_rule_that_cannot_be_evaluated_is_no_verdict(
    office: Office, ended: Callable[..., Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> list[tuple[str, ...]]:
        raise RuleUnknownError("rule x cannot be evaluated: no column y; mend suite.json first")

    monkeypatch.setattr(office.desk, "_rules", unknown)
    failed = ended(office, office.desk.ask(FIX).id, WorkState.FAILED)
    assert "rule x cannot be evaluated" in str(failed.reason)
    with pytest.raises(WorkRefusedError, match="not planned to the end"):
        office.desk.run(failed.id, None)


def test_a_discard_needs_no_payload_and_sends_nothing(office: Office, ended: Callable[..., Work]) -> None:
    asked = WorkAsked(action=Action.DISCARD, selection=Selection(ids=("quarantine:0:3",)), why="a test")
    plan = ended(office, office.desk.ask(asked).id, WorkState.PLANNED)
    office.desk.run(plan.id, None)
    ended(office, plan.id, WorkState.DONE)
    assert [(each.id, each.value) for each in office.writer.sent] == [("quarantine:0:3", None)]
    assert office.markers.of("quarantine:0:3").why == "a test"  # type: ignore[union-attr]
    api = FastAPI()
    add_quarantine(api, {"shop": office.desk})
    assert TestClient(api).get("/api/v1/quarantine/streams/shop/settled").json() == ["quarantine:0:3"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "streams/nobody/groups", None, 404, "there is no stream 'nobody'; there are: shop"),
        ("GET", "streams/shop/records?reason=none", None, 422, "reason: "),
        ("GET", "streams/shop/records?since=2026-01-01T00:00:00", None, 422, "since: "),
        ("GET", "streams/shop/records?limit=0", None, 422, "limit: give 1 to 500"),
        ("GET", "streams/shop/records?cursor=x", None, 422, "cursor: 'x' is none"),
        ("GET", "streams/shop/records/dead:0:1", None, 404, "no turned-away record 'dead:0:1'"),
        ("GET", "replays/none", None, 404, "there is no replay 'none'"),
        ("POST", "streams/shop/replays", {"steps": ["sett x 1"]}, 422, "steps: Value error, 'sett x 1' is no fix step"),
        ("POST", "streams/shop/replays", {"colour": 1}, 422, "colour: Extra inputs"),
        ("POST", "replays/PLANNED/run", {"rate": 0}, 422, "rate: Input should be greater than 0"),
        ("POST", "replays/DONE/run", {}, 409, "is done; only one that is planned can be run"),
    ],
)
def test_a_mistake_is_told_with_its_field(  # noqa: PLR0913 (a row of the table)
    office: Office, ended: Callable[..., Work], method: str, path: str, body: object, status: int, said: str
) -> None:
    api = FastAPI()
    add_quarantine(api, {"shop": office.desk})
    if "PLANNED" in path or "DONE" in path:
        plan = ended(office, office.desk.ask(FIX).id, WorkState.PLANNED)
        if "DONE" in path:
            office.desk.run(plan.id, None)
            ended(office, plan.id, WorkState.DONE)
        path = path.replace("PLANNED", plan.id).replace("DONE", plan.id)
    answer = TestClient(api).request(method, f"/api/v1/quarantine/{path}", json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.json()


@pytest.fixture
def command(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """`tidegate quarantine`, asking the office instead of a platform: exit code and what it says."""
    api = FastAPI()
    add_quarantine(api, {"shop": office.desk})
    client = TestClient(api)

    def asked(method: str, url: str, **how: Any) -> Any:
        how.pop("timeout")
        return client.request(method, f"/api/v1/quarantine/{url.partition('/api/v1/quarantine/')[2]}", **how)

    monkeypatch.setattr(quarantine_commands, "control_plane", lambda _: ("", {}))
    monkeypatch.setattr(quarantine_commands.httpx, "request", asked)
    office.desk.inbox.unknown = None

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(quarantine_commands.app, words, env={"COLUMNS": "200"})
        return done.exit_code, done.output

    return run


def test_the_commands_say_what_the_page_says(command: Callable[..., tuple[int, str]], office: Office) -> None:
    code, said = command("ls")
    assert (code, "quantity_in_range" in said, "30" in said) == (0, True, True)
    assert "quarantine:0:29" in command("ls", "shop", "--records", "--rule", "quantity_in_range")[1]
    code, said = command("show", "shop", "quarantine:0:3")
    assert (code, "payload (avro)" in said, "attempt 1: quarantine:0:3" in said) == (0, True, True)
    code, said = command("replay", "plan", "shop", "--id", "quarantine:0:3", "--fix", "set quantity 2")
    assert (code, "ready 1" in said) == (0, True)
    work = said.split("replay run ")[1].split()[0]
    assert command("replay", "cancel", "none")[0] == 2
    code, said = command("replay", "run", work, "--yes")
    assert (code, "done: 1, left as they are: 0" in said) == (0, True)
    assert command("replay", "run", work, "--yes")[0] == 1
    assert work in command("replay", "status")[1]
    assert "replayed as 0:1" in command("show", "shop", "quarantine:0:3")[1]
    code, said = command("discard", "shop", "--why", "a test", "--dry-run")
    assert (code, "records: 30, done 1, ready 29" in said, len(office.writer.sent)) == (0, True, 1)
    assert command("replay", "plan", "shop", "--id", "quarantine:0:3")[0] == 1, "nothing of it is ready"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ls", "nobody"), "there is no stream 'nobody'"),
        (("ls", "shop", "--reason", "bad"), "--reason: Input should be"),
        (("ls", "shop", "--since", "yesterday"), "--since: Input should be"),
        (("show", "shop", "dead:7:7"), "no turned-away record"),
        (("replay", "plan", "shop", "--fix", "sett x 1"), "is no fix step; write one of: set FIELD VALUE"),
    ],
)
def test_a_mistaken_command_ends_with_2_and_says_what_is_wrong(
    command: Callable[..., tuple[int, str]], words: tuple[str, ...], said: str
) -> None:
    code, text = command(*words)
    assert (code, said in " ".join(text.split())) == (2, True), text


def test_records_that_an_operation_has_brought_in_are_marked_once_and_not_replayed(
    shop: StreamDefinition, tmp_path: Path
) -> None:
    office = Office(shop, tmp_path)
    api = FastAPI()
    add_quarantine(api, {"shop": office.desk})
    body = {"operation": "op1", "by": "ann", "ids": ["quarantine:0:1", "quarantine:0:2"]}
    path = "/api/v1/quarantine/streams/shop/settled"
    with TestClient(api) as client:
        assert client.post(path, json=body, headers={USER_HEADER: "bob"}).status_code == 403, "no person says so"
        assert client.post(path, json=body).json() == {"marked": 2}
        assert client.post(path, json=body).json() == {"marked": 0}, "again after a crash"
        assert sorted(client.get(path).json()) == body["ids"]
    marker = office.markers.of("quarantine:0:1")
    assert marker is not None
    assert (marker.replay, marker.by, marker.why) == ("op1", "ann", "backfill")
    assert [each.value for each in office.writer.sent] == [None, None], "nothing is sent to the raw topic"
