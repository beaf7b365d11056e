"""Is the cause that is provoked the one that is named first? Real queries of a real Spark, slow on purpose, each in its own way.

What is known of them comes on the same way as in the platform: by the listener, the REST API and the control plane's fold.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from controlplane.contract.folders import load_stream
from controlplane.contract.lag import Cause, LagExplained
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.spark import SparkStarted
from controlplane.service.observed import Observed
from controlplane.service.spark import spark_frame
from controlplane.service.state import Known
from lag_monitor.spark.ask import Application
from lag_monitor.why.explain import explained
from lag_monitor.why.observe import Answers, observe
from lag_monitor.why.past import Past
from pipeline.progress import progressed

SHOP = load_stream(SHIPPED_STREAMS / "shop")


class Seen:
    """What the control plane has been told, and what is made of it."""

    def __init__(self) -> None:
        self.known, self.observed, self.past = Known(), Observed(), Past()

    def explain(self, query: str, stream: str, *facts: object) -> LagExplained:
        """Fold the facts, and ask why a query is slow now."""
        self.known.fold(facts)  # type: ignore[arg-type]
        self.observed.fold(facts)  # type: ignore[arg-type]
        now, all_facts = datetime.now(UTC), tuple(self.known.facts.values())
        self.past.fold(all_facts)
        answers = Answers(now, all_facts, spark_frame(self.known, self.observed, now))
        definition = SHOP.model_copy(update={"name": stream})
        found = observe(answers, self.past, [definition], timedelta(seconds=20))
        return next(explained(each) for each in found if each.query.name == query)


@pytest.fixture(scope="module")
def explanations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LagExplained]:
    """Scenario -> what was said when it had run."""
    scratch = tmp_path_factory.mktemp("why")
    program = Path(__file__).with_name("why_scenarios.py")
    found: dict[str, LagExplained] = {}
    seen, application = Seen(), None
    with (
        (scratch / "stderr").open("w") as errors,
        httpx.Client(trust_env=False) as client,
        subprocess.Popen(
            [sys.executable, "-P", program, scratch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdin is not None
        for line in child.stdout:
            told = json.loads(line)
            assert not told["error"]
            started = SparkStarted.model_validate(told["application"]).model_copy(update={"at": datetime.now(UTC)})
            application = application or Application(started.app_id, client)
            trigger = timedelta(seconds=told["trigger_s"])
            facts = [
                started,
                *progressed(told["said"], "lake", "microbatch", trigger),
                application.look(started, (), lambda: datetime.now(UTC)),
            ]
            name = told["scenario"]
            found[name] = seen.explain(f"lake {name}", name, *facts)
            if name == "quiet":
                child.stdin.close()
    assert child.returncode == 0, (scratch / "stderr").read_text()[-4000:]
    return found


@pytest.mark.parametrize(
    "cause",
    [Cause.TOO_FEW_SLOTS, Cause.SKEWED_PARTITION, Cause.GARBAGE_COLLECTION, Cause.SINK, Cause.SLOW_PLANNING],
)
def test_what_makes_a_query_slow_is_named_first(cause: Cause, explanations: dict[str, LagExplained]) -> None:
    found = explanations[cause]
    assert found.is_slow
    assert [each.cause for each in found.suspects][:1] == [cause], found


def test_a_quiet_query_is_not_slow_and_nothing_is_suspected(explanations: dict[str, LagExplained]) -> None:
    assert not explanations["quiet"].is_slow
    assert explanations["quiet"].suspects == ()
