"""Ingest looked at from outside: what is turned away against the service level, and where two judges disagree."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastavro import parse_schema, schemaless_writer

from controlplane.contract.folders import load_stream
from controlplane.contract.gates import Outcome, Policy, RuleVerdict, Severity, Stage, SuiteFollowed
from controlplane.contract.names import HEADER_REASON, HEADER_RULES, Reason
from quality.sampled.rows import Decoder
from quality.sampled.suite import IngestSuites
from quality.sampled.topics import looked_through
from quality.sampled.verdict import Interval, Sampled, decided

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.gates import GateDecided
    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
BETWEEN = "expect_column_values_to_be_between"


def expectation(name: str, severity: str) -> dict[str, Any]:
    return {"type": BETWEEN, "kwargs": {"column": name}, "severity": severity, "meta": {"name": name}}


SUITE = {"name": "s", "expectations": [expectation("amount", "critical"), expectation("page_ms", "warning")]}


def rule(name: str, severity: Severity, *, kept: bool | None = True, unexpected: int = 0) -> RuleVerdict:
    reason = "no such column" if kept is None else None
    return RuleVerdict(
        rule=name, expectation=BETWEEN, severity=severity, kept=kept, judged=50, unexpected=unexpected, reason=reason
    )


def amount(*, kept: bool | None = True, unexpected: int = 0) -> RuleVerdict:
    return rule("amount", Severity.CRITICAL, kept=kept, unexpected=unexpected)


def page_ms(*, kept: bool | None = True, unexpected: int = 0) -> RuleVerdict:
    return rule("page_ms", Severity.WARNING, kept=kept, unexpected=unexpected)


FINE = Sampled(50, (amount(), page_ms()))


def verdict(
    valid: int = 1000,
    dead: int = 0,
    causes: dict[str, int] | None = None,
    sampled: Sampled = FINE,
    policy: Policy = Policy.DIVERT,
    looked_at: int | None = None,
) -> GateDecided:
    quarantined = sum((causes or {}).values())
    interval = Interval(
        began=NOW - timedelta(seconds=30),
        until=NOW,
        valid=valid,
        dead=dead,
        quarantined=quarantined,
        causes=causes or {},
        looked_at=dead + quarantined if looked_at is None else looked_at,
        examples={"amount": ("-1",)},
    )
    return decided("shop", SUITE, "f" * 12, policy, 0.98, interval, sampled)


DISAGREE = (
    "route let rows through that Great Expectations finds broken, so the compiled rule and Great Expectations disagree"
)
OUTCOMES: dict[str, tuple[GateDecided, Outcome, str | None]] = {
    "all-is-well": (verdict(), Outcome.PASSED, None),
    "a-trickle-is-no-incident": (verdict(985, 5, {"amount": 10}), Outcome.PASSED, None),
    "one-row-is-no-share": (verdict(2, 1), Outcome.PASSED, None),
    "more-than-the-service-level-allows": (
        verdict(900, 20, {"amount": 80}),
        Outcome.DIVERTED,
        "10.00% of 1,000 rows were turned away, at most 2.00% is the service level: amount 80",
    ),
    "a-warning": (
        verdict(sampled=Sampled(50, (amount(), page_ms(kept=False, unexpected=3)))),
        Outcome.WARNED,
        "page_ms is broken by 3 of 50 sampled rows",
    ),
    "two-judges-disagree": (
        verdict(sampled=Sampled(50, (amount(kept=False, unexpected=2), page_ms()))),
        Outcome.LET_THROUGH,
        f"{DISAGREE}: amount is broken by 2 of 50 sampled rows",
    ),
    "the-policy-is-to-pass": (
        verdict(sampled=Sampled(50, (amount(kept=False, unexpected=2), page_ms())), policy=Policy.PASS),
        Outcome.LET_THROUGH,
        "amount is broken by 2 of 50 sampled rows",
    ),
    "a-rule-that-cannot-be-evaluated": (
        verdict(sampled=Sampled(50, (amount(kept=None), page_ms()))),
        Outcome.WARNED,
        "Great Expectations could not look at what route let through: amount could not be evaluated: no such column",
    ),
    "nothing-to-look-at-is-no-fault": (verdict(sampled=Sampled(0, reason="nothing")), Outcome.PASSED, None),
    "nobody-has-judged": (
        verdict(sampled=Sampled(0, reason="nothing"), policy=Policy.PASS),
        Outcome.WARNED,
        "Great Expectations could not look at what route let through: nothing",
    ),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_what_follows_from_counts_and_sample(case: str) -> None:
    found, outcome, reason = OUTCOMES[case]
    assert (found.outcome, found.reason) == (outcome, reason)


def test_a_rule_of_routes_counts_all_rows_and_another_the_sample() -> None:
    found = verdict(985, 5, {"amount": 10}, Sampled(50, (amount(), page_ms(kept=False, unexpected=3))))
    assert (found.stage, found.rows, found.judged, found.subject) == (Stage.INGEST, 1000, 50, "the last 30 s")
    critical, warning = found.rules
    assert (critical.kept, critical.judged, critical.unexpected, critical.examples) == (False, 995, 10, ("-1",))
    assert (warning.kept, warning.judged, warning.unexpected) == (False, 50, 3)


def test_rows_of_the_sample_that_break_a_rule_of_routes_are_seen_as_they_are() -> None:
    critical = verdict(985, 5, {"amount": 10}, Sampled(50, (amount(kept=False, unexpected=2), page_ms()))).rules[0]
    assert (critical.kept, critical.judged, critical.unexpected) == (False, 50, 2)


def test_by_policy_pass_route_judges_no_row_and_the_sample_is_all_there_is() -> None:
    critical = verdict(policy=Policy.PASS).rules[0]
    assert (critical.kept, critical.judged) == (True, 50)


def test_too_many_to_look_at_gives_no_share() -> None:
    critical = verdict(10, 0, {"amount": 20_000}, looked_at=500).rules[0]
    assert (critical.judged, critical.unexpected) == (None, 20_000)
    assert critical.reason == "counted in 500 of 20,000 records that were turned away"


def test_without_a_sample_a_warning_is_not_known() -> None:
    critical, warning = verdict(sampled=Sampled(0, reason="nothing was let through")).rules
    assert (critical.kept, warning.kept, warning.reason) == (True, None, "nothing was let through")


@pytest.fixture
def edited(shop: StreamDefinition, tmp_path: Path) -> StreamDefinition:
    return load_stream(shutil.copytree(shop.folder, tmp_path / "shop"))


def followed(suite: str) -> SuiteFollowed:
    return SuiteFollowed(at=NOW, stream="shop", stage=Stage.INGEST, suite=suite, rules=1, since=NOW)


def test_the_suite_that_route_follows_is_taken_and_not_the_one_it_has_not_taken_yet(edited: StreamDefinition) -> None:
    suites, before = IngestSuites(edited), edited.fingerprint(Stage.INGEST)
    file = edited.folder / "suite.json"
    changed = json.loads(file.read_text())
    changed["ingest"]["expectations"].pop()
    file.write_text(json.dumps(changed))
    found = suites.in_use(followed(before))
    assert (found.fingerprint, found.since) == (before, NOW)
    assert found.suite == edited.suites[Stage.INGEST]
    newest = suites.in_use(None)
    assert newest.suite == changed["ingest"]
    file.write_text("{")
    assert suites.in_use(followed(newest.fingerprint)).suite == changed["ingest"]
    assert suites.in_use(followed("0" * 12)).suite is None


SCHEMA = {
    "type": "record",
    "name": "E",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "count", "type": ["null", "long"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


def framed(event: dict[str, Any], schema_id: int = 7) -> bytes:
    written = io.BytesIO()
    schemaless_writer(written, parse_schema(SCHEMA), event)
    return b"\0" + schema_id.to_bytes(4, "big") + written.getvalue()


def test_records_become_rows_with_the_schemas_types_and_what_cannot_be_read_is_left_out() -> None:
    decoder = Decoder({7: SCHEMA}.get)
    big = 2**53 + 1
    events = [{"name": "a", "count": big, "at": NOW}, {"name": "b", "count": None, "at": NOW}]
    values = [*map(framed, events), framed(events[0], schema_id=8), b"", b"no avro", framed(events[0])[:-3]]
    frame = decoder.frame(values, {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "category", "type": "string"}]})
    assert frame["count"].dtype == "Int64"
    assert list(frame["count"].dropna()) == [big]
    assert list(frame["at"]) == [NOW, NOW]
    assert list(frame["category"]) == [None, None]


@dataclass
class FakeMessage:
    """As confluent's, as far as it is read."""

    named: dict[str, str]
    body: bytes = b""

    def headers(self) -> list[tuple[str, bytes]]:
        return [(key, value.encode()) for key, value in self.named.items()]

    def value(self) -> bytes:
        return self.body


def test_causes_are_rules_or_else_reasons_and_examples_are_the_values_of_a_rules_columns() -> None:
    broken = {HEADER_REASON: Reason.RULE_BROKEN, HEADER_RULES: "amount,pair"}
    dead: Any = [FakeMessage({HEADER_REASON: Reason.NOT_AVRO})] * 500
    quarantined: Any = [
        *(FakeMessage(broken, str(each % 2).encode()) for each in range(10)),
        FakeMessage({HEADER_REASON: Reason.EVENT_TIME_AHEAD}),
        FakeMessage({}),
    ]
    columns = {"amount": ("amount",), "pair": ("amount", "other")}
    seen = looked_through(
        dead, quarantined, columns, lambda body: {"amount": -int(body), "other": None} if body else None
    )
    assert seen.records == 512
    counted = {"not_avro": 500, "amount": 10, "pair": 10, "event_time_ahead": 1, "without a reason": 1}
    assert seen.causes == counted
    assert seen.examples["amount"] == ("0", "-1")
    assert seen.examples["pair"] == ("0, None", "-1, None")
