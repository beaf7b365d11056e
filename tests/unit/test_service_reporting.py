"""What holds is said again, so that a control plane that has started since knows it too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract import reporting
from controlplane.contract.facts import SchemaRead
from controlplane.contract.gates import BreakerChanged, BreakerState, Stage, SuiteFollowed
from controlplane.contract.latency import PROBE, HopsTimed, Since
from controlplane.contract.names import Hop
from controlplane.contract.reporting import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    import pytest

    from controlplane.contract.facts import Fact


def read(*ids: int) -> SchemaRead:
    return SchemaRead(at=datetime.now(UTC), stream="shop", reader="route", hop=Hop.RAW, schema_ids=ids)


def test_what_stands_is_said_at_once_and_again_until_it_is_replaced(
    monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    posted: list[Fact] = []

    def post(url: str, facts: Iterable[Fact], token: str) -> None:
        posted.extend(facts)

    monkeypatch.setattr(reporting, "post_facts", post)
    monkeypatch.setattr(reporting, "_SAY_AGAIN_AFTER_S", 0.05)
    reporter = Reporter("http://127.0.0.1:1", "")
    reporter.stand("route", [first := read(1)])
    reporter.stand("route", [first])
    eventually(lambda: len(posted) >= 3, "said three times")
    assert posted[0] == first
    assert len({fact.id for fact in posted}) == len(posted)
    assert [fact.at for fact in posted] == sorted(fact.at for fact in posted)
    reporter.stand("route", [second := read(1, 2)])
    eventually(lambda: posted[-1].model_dump(exclude={"id", "at"}) == second.model_dump(exclude={"id", "at"}), "new")
    reporter.close()


def test_of_probes_nothing_is_told_but_how_old_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a stream that no operator has defined would be among the queries, the suites and the breakers."""
    posted: list[Fact] = []
    monkeypatch.setattr(reporting, "post_facts", lambda _url, facts, _token: posted.extend(facts))
    now, of = datetime.now(UTC), {"stream": PROBE, "stage": Stage.INGEST}
    timed = HopsTimed(at=now, stream=PROBE, since=Since.EVENT, hops={})
    reporter = Reporter("http://127.0.0.1:1", "")
    reporter.stand("suites", [SuiteFollowed(at=now, suite="s", rules=0, since=now, **of)])
    reporter.report(BreakerChanged(at=now, state=BreakerState.OPEN, since=now, **of), timed, read(1))
    reporter.close()
    assert [fact.kind for fact in posted] == ["hops_timed", "schema_read"]
