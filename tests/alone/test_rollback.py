"""A wrong rule goes live for a while: is everything as if it had not, once the lake was rolled back, the rule mended, and replayed?

Real flights on a platform of its own. Route and live never stop; lake is held meanwhile, by a file. Then another rule is made to
hold for all that was before, by a backfill.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from controlplane import cli
from load_tests.bench.journeys import NAME, RULE, WRONG_RULE, Journeys, journeys_in

if TYPE_CHECKING:
    from collections.abc import Iterator

DIES = ("restore:events", "clickhouse", "release")
"""Its process is killed at each of these, when it is done and nobody has heard of it.

`tidegate bench rollback` does so at all, undoes one, cancels one, and kills lake while it is held.
"""
DIES_IN_A_BACKFILL = ("swap",)


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journeys]:
    with journeys_in(tmp_path_factory.mktemp("journeys"), {*DIES, *DIES_IN_A_BACKFILL}) as one:
        yield one


def processes(journeys: Journeys) -> dict[str, int | None]:
    return {part: journeys.platform.pid(part) for part in ("route", "live", "lake", "ledger", "quality")}


def goes_wrong(journeys: Journeys) -> tuple[int, set[int], set[int]]:
    """A version of before, what the lake had then, and what it has of the wrong rule's time."""
    journeys.send(2000)
    first = set(range(2000))
    journeys.settles(first)
    version = journeys.version()
    journeys.follows_rule(RULE, WRONG_RULE)
    journeys.send(2000)
    mine = journeys.flights[(journeys.flights.id >= 2000) & (journeys.flights.id < 4000)]
    wrong = set(mine.id[mine.carrier.str.match("^[A-Z]{2}$")])
    assert 0 < len(wrong) < 2000
    journeys.wait(lambda: len(journeys.events()) == 2000 + len(wrong), "the lake has what was let through")
    return version, first, wrong


def is_mended(journeys: Journeys) -> None:
    """The rule, and what it had turned away is replayed."""
    journeys.follows_rule(WRONG_RULE, RULE)
    replay = journeys.post(f"quarantine/streams/{NAME}/replays", {"selection": {"rule": "carrier_code"}})["id"]
    journeys.wait(lambda: journeys.get(f"quarantine/replays/{replay}")["state"] == "planned", "planned")
    journeys.post(f"quarantine/replays/{replay}/run", {})
    journeys.wait(lambda: journeys.get(f"quarantine/replays/{replay}")["state"] == "done", "replayed")


def test_a_wrong_rule_is_rolled_back_mended_and_replayed_whoever_is_killed(journeys: Journeys) -> None:
    version, first, wrong = goes_wrong(journeys)
    before = processes(journeys)
    overtaken, planned = (journeys.asked(version=version, then="hold") for _ in range(2))
    events = planned["plan"]["preview"]["tables"]["events"]
    assert (events["now"], events["then"], events["goes"]) == (2000 + len(wrong), 2000, len(wrong))

    words = ["rollback", NAME, "--to-version", str(version), "--then", "hold", "--dry-run", "-o", "json"]
    said = CliRunner().invoke(cli.app, [*words, "--data", str(journeys.platform.data)])
    assert said.exit_code == 0, said.output
    plans = json.loads(said.stdout)["plan"], planned["plan"]
    one, other = ([(each["key"], each["title"]) for each in plan["stages"]] for plan in plans)
    assert one == other

    journeys.confirmed(planned)
    with pytest.raises(RuntimeError, match=planned["id"]):
        journeys.confirmed(overtaken)
    journeys.reaches(planned["id"], "paused")
    journeys.agrees(first, live=first | wrong)
    assert "held by operation" in journeys.ledger()["reason"]
    assert f"lake of {NAME}" in [each["subject"] for each in journeys.get("overview")["problems"]]

    journeys.send(500)
    is_mended(journeys)
    everything = set(range(4500))
    journeys.wait(lambda: journeys.serves() == len(everything), "live went on all the time")
    assert len(journeys.events()) == 2000, "and lake did not"

    journeys.post(f"operations/{planned['id']}/resume")
    done = journeys.reaches(planned["id"], "done")
    journeys.settles(everything)
    journeys.agrees(everything, live=everything)
    assert done["undo"]["asked"]["version"] == done["result"]["events_before"]
    journeys.confirmed(overtaken)
    assert "was written by another rollback or backfill" in journeys.reaches(overtaken["id"], "failed")["reason"]
    journeys.wait(lambda: journeys.ledger()["verdict"] == "balanced", "the ledger adds up")
    assert processes(journeys) == before, "none of them was started anew"
    assert journeys.deaths(planned["id"]) == sorted(DIES)


def test_another_rule_holds_for_all_that_was_before_once_the_days_are_made_again(journeys: Journeys) -> None:
    journeys.send(2000)
    everything = set(range(journeys.sent))
    journeys.settles(everything)
    before = processes(journeys)
    mine = journeys.flights[journeys.flights.id < journeys.sent]
    kept = set(mine.id[mine.carrier.str.match("^[A-Z]{2}$")])
    journeys.follows_rule(RULE, WRONG_RULE)

    words = ["backfill", NAME, "--yes", "--max-lag", "600", "-o", "json"]
    said = CliRunner().invoke(cli.app, [*words, "--data", str(journeys.platform.data)])
    assert said.exit_code == 0, said.output
    operation = json.loads(said.stdout)
    assert {each["state"] for each in operation["stages"]} == {"done"}
    compared = next(each["result"] for each in operation["stages"] if each["key"] == "compare")
    assert (compared["before"], compared["after"]) == (len(everything), len(kept))
    assert (compared["gone"], compared["added"], compared["changed"]) == (len(everything) - len(kept), 0, 0)
    journeys.settles(kept)
    journeys.agrees(kept, live=everything)
    journeys.wait(lambda: journeys.ledger()["verdict"] == "balanced", "what was set aside is in the lake's account")
    assert processes(journeys) == before, "none of them was started anew"
    assert journeys.deaths(operation["id"]) == sorted(DIES_IN_A_BACKFILL)
