"""The API of operations over a real database of each kind, with a worker that is played by the test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from controlplane.contract.access import Grant, Principal, Role
from controlplane.contract.operations import (
    LEASE_PATH,
    PATH,
    Does,
    Leased,
    Operation,
    OperationAsked,
    Plan,
    ScheduleAsked,
    StagePlanned,
    Touch,
)
from controlplane.service.access.guard import Guard
from controlplane.service.access.known import AnyoneIs
from controlplane.service.operations.answers import OperationPage, add_operations
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.service.operations.store import Sought
from controlplane.service.operations.worker_answers import add_worker
from controlplane.service.problem_json import MEDIA_TYPE, add_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from sqlalchemy import Engine

ASKED = {"kind": "backfill", "asked": {"stream": "flights", "since": "2013-01-01", "until": "2013-01-02"}}


class Recorded:
    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str]] = []

    def record(self, *said: str, outcome: str = "ok", **_: Any) -> None:
        _, _, action, subject = said
        self.entries.append((action, subject, outcome))


class Played:
    """Who asks, and the worker."""

    def __init__(self, engine: Engine) -> None:
        self.audit = Recorded()
        self.desk = Desk(engine, ["flights", "shop"], self.audit)
        operator = AnyoneIs(Principal(name="operator", is_service=True))
        api = FastAPI(openapi_url=None, dependencies=[Depends(Guard(operator, lambda _: True))])
        add_problems(api)
        add_worker(api, self.desk)
        self.now = datetime.now(UTC)
        self.schedules = Schedules(engine, self.desk, now=lambda: self.now)
        add_operations(api, self.desk, self.schedules)
        self.client = TestClient(api)

    def ask(self, body: Any = ASKED, key: str | None = None, query: str = "") -> httpx.Response:
        return self.client.post(f"{PATH}{query}", json=body, headers={"Idempotency-Key": key} if key else {})

    def lease(self, worker: str = "w", *holds: str) -> Leased | None:
        answer = self.client.post(LEASE_PATH, json={"worker": worker, "holds": list(holds)})
        return Leased.model_validate(answer.json()) if answer.status_code == 200 else None

    def said(self, leased: Leased, **what: Any) -> httpx.Response:
        return self.client.post(f"{PATH}/{leased.operation.id}/said", json={"worker": leased.lease, **what})

    def planned(self, *partitions: str, stream: str = "flights", query: str = "") -> Operation:
        self.ask({"kind": "backfill", "asked": {"stream": stream}}, query=query)
        return self.plan_next(*partitions, stream=stream)

    def plan_next(self, *partitions: str, stream: str = "flights") -> Operation:
        leased = self.lease()
        assert leased is not None
        assert leased.does == "plan"
        plan = Plan(
            at=datetime.now(UTC),
            stages=(StagePlanned(key="build", does="build", title="Build"),),
            touches=(Touch(stream=stream, table="events", partitions=partitions or ("*",)),),
            confirmation=stream,
            fingerprint="f",
        )
        assert self.said(leased, plan=plan.model_dump(mode="json")).status_code == 200
        return self.one(leased.operation.id)

    def one(self, number: str) -> Operation:
        return Operation.model_validate(self.client.get(f"{PATH}/{number}").json())

    def confirm(self, operation: Operation, word: str = "flights", fingerprint: str = "f") -> httpx.Response:
        said = {"fingerprint": fingerprint, "confirmation": word}
        return self.client.post(f"{PATH}/{operation.id}/confirm", json=said)


@pytest.fixture
def played(database: Engine) -> Iterator[Played]:
    one = Played(database)
    with one.client:
        yield one


def problem(answer: httpx.Response) -> tuple[int, str]:
    said = answer.json()
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert set(said) == {"type", "title", "status", "detail", "instance"}
    assert said["status"] == answer.status_code
    return answer.status_code, said["detail"]


def test_an_operation_that_is_asked_for_is_accepted_and_has_an_address(played: Played) -> None:
    answer = played.ask()
    operation = Operation.model_validate(answer.json())
    assert (answer.status_code, answer.headers["location"]) == (202, f"{PATH}/{operation.id}")
    assert (operation.state, operation.by, operation.stream) == ("planning", "operator", "flights")
    assert operation.cli == "tidegate backfill flights --since 2013-01-01 --until 2013-01-02"
    assert played.one(operation.id) == operation
    assert ("operation.ask", operation.id, "ok") in played.audit.entries


def test_the_same_key_is_the_same_operation_and_another_question_is_refused(played: Played) -> None:
    first, again = played.ask(key="k").json(), played.ask(key="k").json()
    assert first == again
    status, detail = problem(played.ask({**ASKED, "why": "otherwise"}, key="k"))
    assert (status, detail) == (422, "Idempotency-Key 'k' was used for another request")
    assert problem(played.ask(key="k", query="?dry_run=true"))[0] == 422
    assert played.ask(key="other").json()["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param(
            {"kind": "backfill", "asked": {"stream": "none"}}, "asked.stream: there is no stream", id="stream"
        ),
        pytest.param({"kind": "backfill", "asked": {"stream": "shop", "days": 1}}, "asked.days", id="field"),
        pytest.param({"kind": "rollback", "asked": {"stream": "shop"}}, "a version or a time", id="neither"),
        pytest.param({"kind": "scale", "asked": {}}, "kind", id="kind"),
        pytest.param(
            {"kind": "promotion", "asked": {"stream": "shop", "trial": "none"}}, "no operation 'none'", id="trial"
        ),
    ],
)
def test_what_is_asked_for_wrongly_names_the_field(played: Played, body: Any, named: str) -> None:
    status, detail = problem(played.ask(body))
    assert (status in (404, 422), named in detail) == (True, True), detail
    assert played.lease() is None


def test_pages_hold_together_while_operations_are_added(played: Played) -> None:
    made = [played.ask().json()["id"] for _ in range(5)]
    page = OperationPage.model_validate(played.client.get(f"{PATH}?limit=2").json())
    found = [each.id for each in page.items]
    played.ask()
    while page.next is not None:
        page = OperationPage.model_validate(played.client.get(f"{PATH}?limit=2&cursor={page.next}").json())
        found += [each.id for each in page.items]
    assert found == made[::-1]
    assert problem(played.client.get(f"{PATH}?cursor=x"))[0] == 422
    assert played.client.get(f"{PATH}?stream=shop").json() == {"items": [], "next": None}
    assert len(played.client.get(f"{PATH}?state=planning&state=done&kind=backfill").json()["items"]) == 6


def test_a_wait_returns_as_soon_as_it_is_otherwise_and_not_before(played: Played) -> None:
    operation = Operation.model_validate(played.ask().json())
    since = operation.changed_at.isoformat().replace("+", "%2B")
    unchanged = played.client.get(f"{PATH}/{operation.id}?wait=0.1&since={since}").json()
    assert unchanged["state"] == "planning"
    leased = played.lease()
    assert leased is not None
    news = played.client.get(f"{PATH}/{operation.id}?wait=20&since={since}").json()
    assert news["attempts"] == 1
    assert problem(played.client.get(f"{PATH}/{operation.id}?wait=21"))[0] == 422
    assert problem(played.client.get(f"{PATH}/{operation.id}?since=2026-01-01T00:00:00"))[0] == 422


def test_a_plan_is_confirmed_by_who_read_it(played: Played) -> None:
    operation = played.planned()
    assert problem(played.confirm(operation, "shop")) == (
        422,
        f"confirmation: type 'flights' to have {operation.id} done",
    )
    status, detail = problem(played.confirm(operation, fingerprint="old"))
    assert (status, "read it again" in detail) == (409, True)
    assert ("operation.confirm", operation.id, "refused") in played.audit.entries
    answer = played.confirm(operation)
    assert (answer.status_code, answer.json()["state"], answer.json()["confirmed_by"]) == (202, "queued", "operator")
    assert played.confirm(operation).status_code == 202, "it may be said twice"


def test_what_was_only_planned_is_not_confirmed(played: Played) -> None:
    operation = played.planned(query="?dry_run=true")
    assert operation.dry_run
    assert "only to be planned" in problem(played.confirm(operation))[1]


def test_two_that_touch_the_same_partitions_do_not_run_together(played: Played) -> None:
    first, second, third = played.planned("a", "b"), played.planned("b", "c"), played.planned("c")
    played.confirm(first)
    status, detail = problem(played.confirm(second))
    assert (status, first.id in detail) == (409, True)
    assert played.confirm(third).status_code == 202, "it touches something else"
    played.client.post(f"{PATH}/{first.id}/cancel")
    assert "backfill " + third.id in problem(played.confirm(second))[1]


def test_the_conflict_is_looked_for_again_when_a_worker_leases(played: Played) -> None:
    first, second = played.planned("a"), played.planned("b")
    played.confirm(first)
    played.confirm(second)
    with played.desk.store.changing() as change:  # as no confirmation lets it be
        before = change.one(second.id)
        plan = first.plan
        after = before.operation.model_copy(update={"plan": plan})
        change.put(before, type(before)(after))
    leased = played.lease()
    assert leased is not None
    assert leased.operation.id == first.id
    assert played.lease("other") is None
    assert played.one(second.id).waits_for == f"backfill {first.id}"
    assert played.said(leased, state="done").json() == {"wish": "run"}
    freed = played.lease()
    assert freed is not None
    assert freed.operation.id == second.id


def test_what_a_worker_holds_is_its_own_however_long_its_process_is_silent(database: Engine) -> None:
    now = [datetime.now(UTC)]
    desk = Desk(database, ["flights"], Recorded(), now=lambda: now[0])
    desk.ask(OperationAsked.model_validate(ASKED), Principal(name="ann"))
    leased = desk.lease("w", (), tuple(Does))
    assert leased is not None
    for _ in range(3):
        now[0] += timedelta(seconds=20)
        assert desk.lease("w", (leased.lease,), tuple(Does)) is None
    now[0] += timedelta(seconds=29)
    assert desk.lease("other", (), tuple(Does)) is None
    now[0] += timedelta(seconds=2)
    assert desk.lease("other", (), tuple(Does)) is not None, "the worker is gone"


def test_who_has_lost_the_lease_is_not_listened_to(played: Played) -> None:
    played.ask()
    old = played.lease()
    assert old is not None
    new = played.lease()
    assert new is not None, "the worker has started anew: it holds nothing"
    assert new.operation.id == old.operation.id
    assert "not this worker's any more" in problem(played.said(old, state="failed", reason="late"))[1]
    assert played.one(old.operation.id).state == "planning"
    assert played.lease("w", new.lease) is None, "it is at work on it"


def test_a_log_is_read_on_from_where_it_was(played: Played) -> None:
    operation = played.planned()
    played.confirm(operation)
    leased = played.lease()
    assert leased is not None
    path = f"{PATH}/{operation.id}/log"
    first = played.client.get(f"{path}?limit=2").json()
    played.said(leased, log=["build: begins"])
    rest = played.client.get(f"{path}?cursor={first['next']}").json()
    assert [len(first["items"]), rest["items"][-1]["text"]] == [2, "build: begins"]
    nothing = played.client.get(f"{path}?cursor={rest['next']}").json()
    assert nothing == {"items": [], "next": rest["next"]}
    assert problem(played.client.get(f"{PATH}/none/log"))[0] == 404


def test_what_is_done_is_undone_by_an_operation_of_its_own(played: Played) -> None:
    operation = played.planned()
    played.confirm(operation)
    leased = played.lease()
    assert leased is not None
    undo = {"kind": "rollback", "asked": {"stream": "flights", "version": 3}}
    played.said(leased, state="done", undo=undo, result={"rows": 1})
    undoing = played.client.post(f"{PATH}/{operation.id}/undo").json()
    assert (undoing["kind"], undoing["undoes"]) == ("rollback", operation.id)
    assert undoing["cli"] == f"tidegate operations undo {operation.id}"
    key = {"Idempotency-Key": "once"}
    asked = [played.client.post(f"{PATH}/{operation.id}/undo", headers=key).json()["id"] for _ in range(2)]
    assert asked[0] == asked[1] != undoing["id"]
    first, second = played.plan_next(), played.plan_next()
    played.confirm(first)
    leased = played.lease()
    assert leased is not None
    played.said(leased, state="done", undo=undo)
    assert played.one(operation.id).undone_by == first.id
    assert "undone by" in problem(played.confirm(second))[1]
    assert "undone by" in problem(played.client.post(f"{PATH}/{operation.id}/undo"))[1]
    played.client.post(f"{PATH}/{first.id}/undo")
    played.confirm(played.plan_next())
    leased = played.lease()
    assert leased is not None
    played.said(leased, state="done")
    assert played.one(operation.id).undone_by is None, "its undo was undone: it stands again"


def test_only_what_is_done_is_undone(played: Played) -> None:
    status, detail = problem(played.client.post(f"{PATH}/{played.planned().id}/undo"))
    assert (status, "only what is done" in detail) == (409, True)


def scheduled(played: Played, *, confirm: bool, name: str = "nightly", cron: str = "30 3 * * *") -> httpx.Response:
    body = {"cron": cron, "ask": {"kind": "backfill", "asked": {"stream": "flights"}}, "confirm": confirm}
    return played.client.put(f"{PATH}/schedules/{name}", json=body)


def test_a_schedule_is_set_read_changed_and_forgotten(played: Played) -> None:
    made = scheduled(played, confirm=False).json()
    assert (made["by"], made["next_at"][11:16]) == ("operator", "03:30")
    assert played.client.get(f"{PATH}/schedules").json() == [made]
    assert scheduled(played, confirm=True, cron="0 4 * * *").json()["next_at"][11:16] == "04:00"
    assert problem(scheduled(played, confirm=False, cron="at noon"))[0] == 422
    assert problem(scheduled(played, confirm=False, name="Not A Name"))[0] == 422
    assert played.client.delete(f"{PATH}/schedules/nightly").status_code == 204
    assert problem(played.client.delete(f"{PATH}/schedules/nightly"))[0] == 404


def test_a_run_that_is_due_asks_once_and_what_was_missed_is_made_up_for_once(played: Played) -> None:
    scheduled(played, confirm=False)
    played.schedules.run("nightly")
    assert played.lease() is None, "it is not due"
    played.now += timedelta(days=3)
    played.schedules.run("nightly")
    played.schedules.run("nightly")
    [operation] = played.client.get(PATH).json()["items"]
    kept = played.schedules.one("nightly")
    assert (operation["schedule"], kept.last_operation) == ("nightly", operation["id"])
    assert kept.next_at is not None
    assert kept.next_at > played.now
    assert played.plan_next().state == "planned", "who confirms it is asked"


@pytest.mark.parametrize(
    ("grants", "said"),
    [
        pytest.param(None, "ann may not ask for it any more", id="who-made-it-is-gone"),
        pytest.param((Grant(role=Role.VIEWER),), "ann may not plan flights", id="they-may-only-look-now"),
        pytest.param((Grant(role=Role.ADMIN, streams=("shop",)),), "ann may not plan flights", id="another-stream"),
    ],
)
def test_a_schedule_asks_only_while_who_made_it_may(database: Engine, grants: Any, said: str) -> None:
    now = [datetime.now(UTC)]
    desk = Desk(database, ["flights"], Recorded())
    who = None if grants is None else Principal(name="ann", grants=grants)
    schedules = Schedules(database, desk, lambda _: who, now=lambda: now[0])
    asked = ScheduleAsked(cron="30 3 * * *", ask=OperationAsked.model_validate(ASKED), confirm=True)
    schedules.put("nightly", asked, Principal(name="ann"))
    now[0] += timedelta(days=1)
    schedules.run("nightly")
    kept = schedules.one("nightly")
    assert (said in str(kept.reason), kept.last_operation) == (True, None), kept.reason
    assert desk.store.page(Sought(), 10) == ([], None)


def test_what_was_missed_while_nothing_ran_is_asked_for_at_the_next_start(
    database: Engine, eventually: Callable[..., Any]
) -> None:
    desk, ann = Desk(database, ["flights"], Recorded()), Principal(name="ann")
    before = Schedules(database, desk, now=lambda: datetime.now(UTC) - timedelta(days=9))
    asked = ScheduleAsked(cron="30 3 * * *", ask=OperationAsked.model_validate(ASKED))
    before.put("nightly", asked, ann)
    before.put("never", asked.model_copy(update={"is_on": False}), ann)
    now = Schedules(database, desk)
    now.start()
    try:
        eventually(lambda: now.one("nightly").last_operation, "the nights that were missed are made up for")
        found, _ = desk.store.page(Sought(), 10)
        assert [each.schedule for each in found] == ["nightly"]
    finally:
        now.close()


def test_days_of_a_schedule_are_those_of_its_run(played: Played) -> None:
    asked = {"stream": "flights", "since": "today-7", "until": "today"}
    body = {"cron": "30 3 * * *", "ask": {"kind": "backfill", "asked": asked}}
    assert played.client.put(f"{PATH}/schedules/weekly", json=body).status_code == 200
    due = played.schedules.one("weekly").next_at
    assert due is not None
    played.now = due + timedelta(days=2)
    played.schedules.run("weekly")
    [operation] = played.client.get(PATH).json()["items"]
    week = ((due - timedelta(days=7)).date().isoformat(), due.date().isoformat())
    assert (operation["asked"]["since"], operation["asked"]["until"]) == week
    body["ask"] = {"kind": "backfill", "asked": {**asked, "since": "today+7"}}
    assert "is after until" in problem(played.client.put(f"{PATH}/schedules/weekly", json=body))[1]


def test_a_schedule_that_says_so_confirms_itself_and_a_conflict_is_said(played: Played) -> None:
    scheduled(played, confirm=True)
    played.now += timedelta(days=1)
    played.schedules.run("nightly")
    first = played.plan_next()
    assert (first.state, first.confirmed_by) == ("queued", "operator")
    played.now += timedelta(days=1)
    played.schedules.run("nightly")
    assert played.lease("other") is not None, "the first runs"
    second = played.plan_next()
    assert (second.id != first.id, second.state) == (True, "failed")
    assert first.id in str(second.reason)


def test_the_document_describes_every_route_and_what_is_answered_fits_it(played: Played) -> None:
    document = played.client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    steps = {f"{PATH}/{{number}}/{step}" for step in ("log", "confirm", "undo", "pause", "resume", "cancel")}
    assert {PATH, f"{PATH}/{{number}}", *steps} <= set(document["paths"])
    assert LEASE_PATH not in document["paths"], "that is the worker's"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    number = played.planned().id
    asked = {
        ("get", PATH): played.client.get(PATH),
        ("post", PATH): played.ask(),
        ("get", f"{PATH}/{{number}}"): played.client.get(f"{PATH}/{number}"),
        ("get", f"{PATH}/{{number}}/log"): played.client.get(f"{PATH}/{number}/log"),
        ("post", f"{PATH}/{{number}}/pause"): played.client.post(f"{PATH}/{number}/pause"),
        ("post", f"{PATH}/{{number}}/confirm"): played.confirm(played.one(number)),
        ("post", f"{PATH}/{{number}}/cancel"): played.client.post(f"{PATH}/none/cancel"),
    }
    for (method, path), answer in asked.items():
        described = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
        schema = described[answer.headers["content-type"]]["schema"]
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(answer.json())
