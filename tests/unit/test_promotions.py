"""A trial's folder becomes today's by one rename, and what it replaced can be put back; nothing newer is run over."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.backfills import BackfillAsked, PromotionAsked
from controlplane.contract.folders import load_stream, load_streams
from controlplane.contract.operations import Kind, Operation, OperationState
from controlplane.contract.refusals import Refusal, SchemaRefusedError
from controlplane.contract.restarts import RESTARTS
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.trials import (
    CHANGED,
    CostCompared,
    Definition,
    RowsCompared,
    SideCost,
    TrialFound,
)
from pipeline.gate import FakeGate
from pipeline.operate.kind import RefusedError, StaleError
from pipeline.operate.kinds import KINDS, Ports
from pipeline.route.definition import digest_of
from pipeline.trial.asked import RESULT, definition_of, scratch_of
from pipeline.trial.promotion import PromotionKind
from quality.compile import broken_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 11, 26, tzinfo=UTC)
SHIPPED = SHIPPED_STREAMS / "flights"


@dataclass
class Doing:
    """What a worker gives a stage."""

    settings: Settings
    operation: Operation
    results: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def stream(self) -> StreamDefinition:
        return next(each for each in load_streams(self.settings.stream_roots) if each.name == "flights")

    def session(self) -> Any:
        raise AssertionError("a promotion starts no Spark")

    def check(self) -> None: ...

    def progress(self, done: int, total: int | None = None, unit: str = "", note: str = "") -> None: ...

    def log(self, text: str) -> None: ...

    def result_of(self, key: str) -> Mapping[str, Any]:
        return self.results.get(key, {})

    def report(self, *facts: Any) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / RESTARTS).mkdir()
    return Settings(data=tmp_path)


def tried(settings: Settings, trial: str, **written: tuple[str, str]) -> None:
    """A trial that has ended, of today's folder with something else written in its files."""
    today = Doing(settings, operation("x", {"stream": "flights", "trial": "x"})).stream().folder
    folder = definition_of(scratch_of(settings, trial), CHANGED, "flights")
    shutil.copytree(today, folder)
    for name, (old, new) in written.items():
        file = folder / {"yaml": "stream.yaml", "suite": "suite.json"}[name]
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    cost = SideCost(events=1, cpu_s=1, took_s=1, files=1, bytes=1)
    found = TrialFound(
        stream="flights",
        since=datetime(2013, 1, 1, tzinfo=UTC),
        until=datetime(2013, 2, 1, tzinfo=UTC),
        version=3,
        rejects_version=None,
        today=Definition(digest=digest_of(today), suites={}),
        changed=Definition(digest=digest_of(folder), suites={}),
        schemas=(),
        rows=RowsCompared(history=1, rejects=None, today=1, changed=1, both=1, only_today=0, only_changed=0),
        columns=(),
        cost=CostCompared(turns=2, today=cost, changed=cost),
    )
    (scratch_of(settings, trial) / RESULT).write_text(found.model_dump_json())


def operation(name: str, asked: dict[str, Any]) -> Operation:
    return Operation(
        id=name, kind=Kind.PROMOTION, stream="flights", asked=asked, by="test", at=NOW, changed_at=NOW,
        state=OperationState.PLANNING,
    )  # fmt: skip


def planned(settings: Settings, name: str, **asked: str) -> tuple[Doing, PromotionKind]:
    given = PromotionAsked(**{"stream": "flights", **asked}).model_dump(mode="json")
    work, kind = Doing(settings, operation(name, given)), PromotionKind(lambda *_: None)
    work.operation = work.operation.model_copy(update={"plan": kind.plan(work)})
    return work, kind


def run(work: Doing, kind: PromotionKind, *, again: bool = False) -> Mapping[str, Any]:
    """Every stage, each twice if it is to be run `again` as after a crash."""
    kind.confirm_basis(work)
    plan = work.operation.plan
    assert plan is not None
    found: Mapping[str, Any] = {}
    for stage in plan.stages:
        for _ in range(1 + again):
            found = kind.does[stage.does](work, stage)
    return found


@pytest.mark.parametrize("again", [False, True], ids=["once", "each-stage-again-after-a-crash"])
def test_a_promoted_rule_is_todays_and_nothing_starts_again(settings: Settings, again: bool) -> None:
    tried(settings, "t1", suite=('"max_value": 6000', '"max_value": 2400'))
    work, kind = planned(settings, "p1", trial="t1")
    found = run(work, kind, again=again)
    assert work.stream().row_rules != load_stream(SHIPPED).row_rules
    assert digest_of(work.stream().folder) == digest_of(definition_of(scratch_of(settings, "t1"), CHANGED, "flights"))
    assert (found["restarted"], found["restart_by_hand"]) == ([], [])
    assert not list((settings.data / RESTARTS).iterdir())
    offered = BackfillAsked.model_validate(found["backfill"]["asked"])
    assert (offered.stream, str(offered.since), str(offered.until)) == ("flights", "2013-01-01", "2013-01-31")
    undo = kind.undo(work)
    assert undo is not None
    run(*planned(settings, "p2", **{key: value for key, value in undo.asked.items() if value}))
    assert digest_of(work.stream().folder) == digest_of(SHIPPED)


def test_only_parts_that_read_what_has_changed_are_started_again(settings: Settings) -> None:
    tried(settings, "t1", yaml=("lateness: 6h", "lateness: 7h"))
    found = run(*planned(settings, "p1", trial="t1"))
    assert found["restarted"] == ["lake", "control", "console"]
    assert sorted(each.name for each in (settings.data / RESTARTS).iterdir()) == ["console", "control", "lake"]


def test_without_a_supervisor_it_says_which_parts_to_start_again(settings: Settings) -> None:
    (settings.data / RESTARTS).rmdir()
    tried(settings, "t1", yaml=("lateness: 6h", "lateness: 7h"))
    found = run(*planned(settings, "p1", trial="t1"))
    assert (found["restarted"], found["restart_by_hand"]) == ([], ["lake", "control", "console"])


def test_a_trial_of_another_definition_than_todays_is_stale(settings: Settings) -> None:
    tried(settings, "t1", suite=('"max_value": 6000', '"max_value": 2400'))
    tried(settings, "t2", suite=('"max_value": 6000', '"max_value": 3000'))
    late, kind = planned(settings, "p2", trial="t2")
    run(*planned(settings, "p1", trial="t1"))
    with pytest.raises(StaleError, match="has changed since trial t2"):
        planned(settings, "p3", trial="t2")
    with pytest.raises(StaleError, match="is another than when this was planned"):
        kind.confirm_basis(late)


def test_an_older_promotion_is_not_taken_back_over_a_newer_one(settings: Settings) -> None:
    tried(settings, "t1", suite=('"max_value": 6000', '"max_value": 2400'))
    run(*planned(settings, "p1", trial="t1"))
    tried(settings, "t2", yaml=("lateness: 6h", "lateness: 7h"))
    run(*planned(settings, "p2", trial="t2"))
    with pytest.raises(StaleError, match="is not what p1 put in place"):
        planned(settings, "p3", back="p1")


REFUSED = {
    "a-trial-that-there-is-not": ({"trial": "nowhere"}, "keeps nothing"),
    "a-promotion-that-there-is-not": ({"back": "nowhere"}, "keeps no folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_promoted_is_refused(case: str, settings: Settings) -> None:
    asked, said = REFUSED[case]
    with pytest.raises(RefusedError, match=said):
        planned(settings, "p1", **asked)


def test_a_trial_that_changed_nothing_is_not_promoted(settings: Settings) -> None:
    tried(settings, "t1")
    with pytest.raises(RefusedError, match="has that very definition already"):
        planned(settings, "p1", trial="t1")


def test_a_schema_that_the_registry_refuses_is_not_put_in_place(settings: Settings) -> None:
    tried(settings, "t1", suite=('"max_value": 6000', '"max_value": 2400'))
    work, _ = planned(settings, "p1", trial="t1")

    def refuse(*_: Any) -> None:
        raise SchemaRefusedError(Refusal(subject="flights.raw-value", mode="BACKWARD", registry_says=("no",)))

    kind = PromotionKind(refuse)
    with pytest.raises(RefusedError, match="stays as it is"):
        run(work, kind)
    kind.clean_up(work)
    assert digest_of(work.stream().folder) == digest_of(SHIPPED)
    assert not list(settings.promoted_streams.glob("flights"))


def test_the_worker_knows_trials_and_promotions() -> None:
    ports = Ports(lambda: broken_rules, FakeGate, lambda _: ())
    assert set(KINDS[Kind.TRIAL](ports).does) == {"take", "turn", "tables", "compare"}
    assert set(KINDS[Kind.PROMOTION](ports).does) == {"keep", "register", "place", "follow"}
