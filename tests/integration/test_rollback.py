"""A wrong rule goes live for a while: is everything as if it had not, once the lake was rolled back, the rule mended, and replayed?

Real flights on a platform of its own. Route and live never stop; lake is held meanwhile, by a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from load_tests.bench.journeys import NAME, RULE, WRONG_RULE, Journeys, journeys_in

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLED_AT = ("hold", "restore:events", "restore:rollup_by_carrier", "follow", "clickhouse")
"""The process that carries it out is killed at each of these; `tidegate bench rollback` does so at all."""


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journeys]:
    with journeys_in(tmp_path_factory.mktemp("journeys")) as one:
        yield one


def processes(journeys: Journeys) -> dict[str, int | None]:
    return {part: journeys.platform.pid(part) for part in ("route", "live", "ledger", "quality")}


def test_a_wrong_rule_is_rolled_back_mended_and_replayed_whoever_is_killed(journeys: Journeys) -> None:
    journeys.send(2000)
    first = set(range(2000))
    journeys.settles(first)
    version = journeys.version()
    journeys.follows_rule(RULE, WRONG_RULE)
    journeys.send(2000)
    mine = journeys.flights[(journeys.flights.id >= 2000) & (journeys.flights.id < 4000)]
    wrong = set(mine.id[mine.carrier.str.match("^[A-Z]{2}$")])
    assert 0 < len(wrong) < 2000
    journeys.settles(first | wrong)
    journeys.agrees(first | wrong, live=first | wrong)
    before = processes(journeys)

    planned = journeys.asked(version=version, then="hold")
    events = planned["plan"]["preview"]["tables"]["events"]
    assert (events["now"], events["then"], events["goes"]) == (2000 + len(wrong), 2000, len(wrong))
    assert planned["plan"]["preview"]["tables"]["entity_plane"]["changes"] > 0
    journeys.confirmed(planned)
    journeys.reaches(planned["id"], "paused", killed_at=KILLED_AT)
    journeys.agrees(first, live=first | wrong)
    journeys.kill("lake")
    assert "held by operation" in journeys.ledger()["reason"]

    served = journeys.serves()
    journeys.send(500)
    journeys.follows_rule(WRONG_RULE, RULE)
    replay = journeys.post(f"quarantine/streams/{NAME}/replays", {"selection": {"rule": "carrier_code"}})["id"]
    journeys.wait(lambda: journeys.get(f"quarantine/replays/{replay}")["state"] == "planned", "planned")
    journeys.post(f"quarantine/replays/{replay}/run", {})
    journeys.wait(lambda: journeys.get(f"quarantine/replays/{replay}")["state"] == "done", "replayed")
    everything = set(range(4500))
    journeys.wait(lambda: journeys.serves() == len(everything), "live has all")
    assert journeys.serves() > served, "live went on all the time"
    assert len(journeys.events()) == 2000, "and lake did not"

    journeys.post(f"operations/{planned['id']}/resume")
    done = journeys.reaches(planned["id"], "done", killed_at=("release",))
    journeys.settles(everything)
    journeys.agrees(everything, live=everything)
    journeys.wait(lambda: journeys.ledger()["verdict"] == "balanced", "the ledger adds up")
    assert processes(journeys) == before, "nothing was started anew"
    assert sorted(journeys.killed) == sorted((*KILLED_AT, "release"))
    assert done["undo"]["asked"]["version"] == done["result"]["events_before"]


def test_a_plan_that_another_rollback_has_overtaken_is_stale_and_a_rollback_can_be_undone(journeys: Journeys) -> None:
    everything = set(range(journeys.sent))
    newest = journeys.version()
    overtaken, planned = journeys.asked(version=newest - 1), journeys.asked(version=newest - 1)
    journeys.confirmed(planned)
    with pytest.raises(RuntimeError, match=planned["id"]):
        journeys.confirmed(overtaken)
    done = journeys.reaches(planned["id"], "done")
    journeys.confirmed(overtaken)
    refused = journeys.reaches(overtaken["id"], "failed")
    assert "was written by another rollback or backfill" in refused["reason"]
    journeys.send(100)
    undo = journeys.reaches(journeys.post(f"operations/{done['id']}/undo")["id"], "planned", "failed")
    assert undo["plan"]["basis"]["version"] == done["result"]["events_before"]
    journeys.confirmed(undo)
    journeys.reaches(undo["id"], "done")
    everything |= set(range(journeys.sent))
    journeys.settles(everything)
    journeys.agrees(everything, live=everything)
