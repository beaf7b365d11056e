"""Ingest is judged from outside on real topics, and Data Docs are built of it and open through the control plane."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from controlplane.contract.gates import Outcome, Stage
from pipeline.feed.shop import event
from pipeline.producer import EventProducer
from quality.docs.site import Site
from quality.gx import judge
from quality.results import Results
from quality.sampled.rows import Decoder
from quality.sampled.topics import RouteTopics
from quality.sampled.watch import IngestLook
from quality.schemas import Schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition


def produce(running: Any, shop: StreamDefinition, good: int, bad: int) -> None:
    now, settings = datetime.now(UTC), running.settings
    with (
        EventProducer(shop, settings.kafka, settings.registry, transactional_id=f"test-{uuid4().hex}") as producer,
        producer.transaction() as send,
    ):
        for number in range(good):
            send(event(23, number, 0.0, now).value)
        for number in range(bad):
            send({**event(23, good + number, 0.0, now).value, "quantity": 0})


@pytest.fixture
def look(running: Any, shop: StreamDefinition) -> Iterator[IngestLook]:
    settings = running.settings
    topics = RouteTopics(settings.kafka, "shop")
    yield IngestLook(shop, topics, Decoder(Schemas(settings.registry).of_id), judge)
    topics.close()


def test_what_route_wrote_is_counted_by_rule_and_what_it_let_through_is_judged(
    running: Any, shop: StreamDefinition, look: IngestLook, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    routed = [running.total("shop", each) or 0 for each in ("valid", "quarantined")]
    produce(running, shop, 1, 0)
    eventually(lambda: (running.total("shop", "valid") or 0) > routed[0], "the first one routed")
    assert look.look(None, datetime.now(UTC)) is None  # from here on
    produce(running, shop, 200, 30)
    eventually(
        lambda: (
            (running.total("shop", "valid") or 0) >= routed[0] + 201
            and (running.total("shop", "quarantined") or 0) >= routed[1] + 30
        ),
        "all of them routed",
    )
    found = look.look(None, datetime.now(UTC))
    assert found is not None
    decided, in_use, result = found
    assert (decided.stage, decided.rows, decided.judged) == (Stage.INGEST, 230, 200)
    assert in_use.fingerprint == shop.fingerprint(Stage.INGEST)
    rules = {each.rule: each for each in decided.rules}
    assert (rules["quantity_in_range"].unexpected, rules["quantity_in_range"].judged) == (30, 230)
    assert rules["quantity_in_range"].examples == ("0",)
    assert {name for name, each in rules.items() if each.kept is not True} == {"quantity_in_range"}
    assert decided.outcome is Outcome.DIVERTED
    assert "quantity_in_range 30" in (decided.reason or "")

    results = Results(tmp_path / "results")
    results.keep(decided, in_use.suite, result)
    results.close()
    site = Site(tmp_path / "results", tmp_path / "docs")
    assert site.beat()
    assert not site.beat(), "nothing new has come"
    assert site.state()["results"] == 1


def test_the_part_judges_ingest_and_its_data_docs_open_through_the_control_plane(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    api = f"{running.settings.api}/api/v1"
    client = httpx.Client(headers=running.settings.authorization, timeout=5)

    def judged() -> dict[str, Any] | None:
        streams = client.get(f"{api}/gates").json()["streams"]
        gates = next(each["gates"] for each in streams if each["name"] == "shop")
        last: dict[str, Any] | None = next(each["last"] for each in gates if each["stage"] == "ingest")
        if last is None:
            produce(running, shop, 5, 0)
        return last

    assert eventually(judged, "ingest judged")["rules"]
    state = f"{api}/quality/docs/state"
    eventually(lambda: client.get(state).json()["built_at"], "Data Docs")
    page = client.get(f"{api}/quality/docs/index.html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    [link, *_] = re.findall(r'href="(validations/[^"]+)"', page.text)  # lake's gate may have been the first to judge
    one = client.get(f"{api}/quality/docs/{link}")
    assert one.status_code == 200
    assert "Expectation Validation Result" in one.text
    assert "<script" not in one.text
    [home] = set(re.findall(r'href="([^"]*index\.html)"', one.text))
    assert client.get(httpx.URL(f"{api}/quality/docs/{link}").join(home)).text == page.text
    assert client.get(f"{api}/quality/docs/..%2f..%2fresults").status_code == 404
