"""`tidegate ledger` says where it does not add up, and its exit code says that it does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands.account import account, mismatch_lines
from controlplane.contract.facts import (
    LedgerPartition,
    LedgerRecord,
    LedgerTaken,
    Mismatch,
    MismatchKind,
    Verdict,
)
from controlplane.contract.names import Hop

if TYPE_CHECKING:
    from click.testing import Result

NOW = datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC)
RECORD = LedgerRecord(
    offset=120_004,
    at=NOW,
    key="u-7",
    found={Hop.VALID: 1, Hop.LAKE: 1, Hop.SERVING: 0},
    payload='{"kind": "view"}',
    is_decoded=True,
)
MISSING = Mismatch(
    partition=2, hop=Hop.SERVING, kind=MismatchKind.MISSING, start=120_004, until=120_102, events=3, records=(RECORD,)
)
DOUBLED = Mismatch(partition=0, hop=Hop.VALID, kind=MismatchKind.DOUBLED, start=5, until=6, events=1)


def taken(stream: str, verdict: Verdict, *mismatches: Mismatch) -> dict[str, object]:
    part = LedgerPartition(
        partition=0, raw_from=0, raw_until=9, produced=9, valid=9, dead=0, quarantined=0, lake=9, serving=None
    )
    fact = LedgerTaken(
        at=NOW, stream=stream, partitions=(part,), verdict=verdict, reason="so it is", mismatches=mismatches
    )
    return fact.model_dump(mode="json")


def asked(monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    ledgers = [taken("flights", Verdict.BALANCED), taken("shop", Verdict.UNBALANCED, MISSING, DOUBLED)]
    monkeypatch.setattr(cli, "_running", lambda *_: None)
    monkeypatch.setattr(cli, "_ask", lambda *_: ledgers)
    return CliRunner().invoke(cli.app, ["ledger", *options])


def test_a_mismatch_is_a_sentence_and_its_records() -> None:
    assert list(mismatch_lines(account(taken("shop", Verdict.UNBALANCED, MISSING, DOUBLED)))) == [
        "shop.raw[2] offsets 120,004-120,101: 3 events missing in serving",
        '  120,004  2026-01-01T03:04:05Z  key u-7  valid 1 lake 1 serving 0  {"kind": "view"}',
        "  ... the first 1 of 3",
        "shop.raw[0] offset 5: 1 event too many in what route wrote",
    ]


def test_text_has_the_mismatches_and_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    result = asked(monkeypatch)
    assert result.exit_code == 1
    assert "3 events missing in serving" in result.output
    assert "unknown" in result.output


def test_json_has_the_mismatches_of_the_stream_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    result = asked(monkeypatch, "--stream", "shop", "-o", "json")
    [shop] = json.loads(result.output)
    assert (shop["stream"], shop["produced"], shop["serving"]) == ("shop", 9, None)
    assert [each["events"] for each in shop["mismatches"]] == [3, 1]


@pytest.mark.parametrize(
    ("stream", "code"),
    [("flights", 0), ("shop", 1), ("nobody", 2)],
    ids=["balanced", "unbalanced", "no-such-stream"],
)
def test_the_exit_code_is_of_the_stream_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, stream: str, code: int
) -> None:
    assert asked(monkeypatch, "--stream", stream).exit_code == code
