"""Does lake write nothing of a stream once it has answered a hold, whoever dies when?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.contract.settings import Settings
from pipeline.lake.holding import Step, StreamHolding, Works, decide
from pipeline.lake.holds import HeldByOtherError, Hold, HoldKind, Holds, NotHeldError, holds_of
from pipeline.lake.texts import FakeTexts, LocalTexts, texts_at

if TYPE_CHECKING:
    from pathlib import Path

IDLE, BUSY = Works(appends=False, tables=False), Works(appends=True, tables=True)
NOW = timedelta(0)


def lake(texts: FakeTexts) -> StreamHolding:
    return StreamHolding("shop", Holds(texts, "shop"), "lake 1")


def test_a_hold_is_answered_once_nothing_works_any_more() -> None:
    texts = FakeTexts()
    mine, one = Holds(texts, "shop"), lake(texts)
    hold = mine.place("op1", HoldKind.APPENDS)
    one.look()
    assert one.step(BUSY) is Step.STOP
    with pytest.raises(NotHeldError, match="has not let go of shop"):
        mine.wait(hold, NOW)
    assert one.step(Works(appends=True, tables=False)) is Step.STOP
    assert one.step(IDLE) is Step.ANSWER
    assert mine.wait(hold, NOW).process == "lake 1"
    assert one.step(IDLE) is Step.REST


def test_tables_are_held_while_appends_go_on() -> None:
    texts = FakeTexts()
    mine, one = Holds(texts, "shop"), lake(texts)
    hold = mine.place("op1", HoldKind.TABLES)
    one.look()
    assert not one.holds_appends()
    assert one.step(Works(appends=True, tables=False)) is Step.ANSWER
    assert mine.wait(hold, NOW).kind is HoldKind.TABLES


def test_more_is_answered_anew() -> None:
    texts = FakeTexts()
    mine, one = Holds(texts, "shop"), lake(texts)
    mine.place("op1", HoldKind.TABLES)
    one.look()
    one.step(Works(appends=True, tables=False))
    more = mine.place("op1", HoldKind.APPENDS)
    with pytest.raises(NotHeldError):
        mine.wait(more, NOW)
    one.look()
    assert one.step(Works(appends=True, tables=False)) is Step.STOP
    assert one.step(IDLE) is Step.ANSWER
    mine.wait(more, NOW)


def test_the_answer_is_taken_back_before_it_goes_on() -> None:
    texts = FakeTexts()
    mine, one = Holds(texts, "shop"), lake(texts)
    mine.place("op1", HoldKind.APPENDS)
    one.look()
    one.step(IDLE)
    assert mine.release("op1")
    one.look()
    assert mine.held() is not None
    assert one.step(IDLE) is Step.GO_ON
    assert mine.held() is None
    assert one.step(IDLE) is Step.RUN


def test_a_lake_that_starts_and_finds_a_hold_answers_it_and_one_that_finds_none_takes_an_old_answer_back() -> None:
    texts = FakeTexts()
    mine, one = Holds(texts, "shop"), lake(texts)
    hold = mine.place("op1", HoldKind.APPENDS)
    one.begin()
    assert one.holds_appends()
    one.step(IDLE)
    mine.wait(hold, NOW)
    mine.release("op1")
    another = lake(texts)
    another.begin()
    assert not another.holds_appends()
    assert mine.held() is None


def test_another_operation_waits_for_an_answer_of_its_own() -> None:
    texts = FakeTexts()
    mine, one = Holds(texts, "shop"), lake(texts)
    mine.place("op1", HoldKind.APPENDS)
    one.look()
    one.step(IDLE)
    with pytest.raises(HeldByOtherError, match="held by operation op1"):
        mine.place("op2", HoldKind.TABLES)
    mine.release("op1")
    theirs = mine.place("op2", HoldKind.APPENDS)
    with pytest.raises(NotHeldError):
        mine.wait(theirs, NOW)
    one.look()
    assert one.step(IDLE) is Step.ANSWER, "without a moment in which it went on"
    mine.wait(theirs, NOW)


def test_only_who_holds_can_release() -> None:
    mine = Holds(FakeTexts(), "shop")
    mine.place("op1", HoldKind.TABLES)
    assert not mine.release("op2")
    assert mine.hold() is not None
    assert mine.release("op1")
    assert not mine.release("op1")


def test_what_an_operator_wants_ends_the_wait() -> None:
    mine = Holds(FakeTexts(), "shop")

    def check() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        mine.wait(mine.place("op1", HoldKind.APPENDS), timedelta(seconds=60), check)


def test_a_file_that_is_being_written_changes_nothing_yet() -> None:
    texts = FakeTexts()
    one = lake(texts)
    Holds(texts, "shop").place("op1", HoldKind.APPENDS)
    one.look()
    texts.there["shop.hold"] = texts.there["shop.hold"][:20]
    assert one.look() is not None, "it is still held"
    texts.there["shop.held"] = '{"operation'
    assert Holds(texts, "shop").held() is None
    with pytest.raises(ValueError, match="Invalid JSON"):
        lake(texts).begin()


class Model:
    """An operation, a lake that can crash, and whether its query runs."""

    def __init__(self) -> None:
        self.texts = FakeTexts()
        self.mine = Holds(self.texts, "shop")
        self.crash()

    def crash(self) -> None:
        self.lake = lake(self.texts)
        self.lake.begin()
        self.appends = not self.lake.holds_appends()

    def look(self) -> None:
        self.lake.look()

    def rest(self) -> None:
        self.appends = self.appends and not self.lake.holds_appends()

    def beat(self) -> None:
        self.lake.step(Works(appends=self.appends, tables=False))
        self.appends = self.appends or not self.lake.holds_appends()

    def is_held(self) -> bool:
        held, hold = self.mine.held(), self.mine.hold()
        return held is not None and hold is not None and hold.kind is HoldKind.APPENDS and held.answers(hold)


@example(["more", "crash", "hold", "beat", "crash", "more"])
@given(st.lists(st.sampled_from(["hold", "more", "release", "look", "rest", "crash", "beat"]), max_size=40))
def test_nothing_is_ever_written_under_an_answer(done: list[str]) -> None:
    model = Model()
    does = {
        "hold": lambda: model.mine.place("op1", HoldKind.TABLES),
        "more": lambda: model.mine.place("op1", HoldKind.APPENDS),
        "release": lambda: model.mine.release("op1"),
        "look": model.look,
        "rest": model.rest,
        "crash": model.crash,
        "beat": model.beat,
    }
    for each in done:
        does[each]()
        assert not (model.is_held() and model.appends)


def test_a_decision_is_a_function_of_what_is_wanted_answered_and_at_work() -> None:
    held = Holds(FakeTexts(), "shop").place("op1", HoldKind.TABLES)
    assert decide(None, None, BUSY) is Step.RUN
    assert decide(None, held, BUSY) is Step.GO_ON
    assert decide(held, None, Works(appends=True, tables=True)) is Step.STOP
    assert decide(held, held, Works(appends=True, tables=False)) is Step.REST


def test_files_of_a_folder_are_replaced_whole(tmp_path: Path) -> None:
    texts = texts_at(f"{tmp_path}/lake", session=lambda: pytest.fail("a folder needs no Spark"))
    assert isinstance(texts, LocalTexts)
    assert texts.read("shop.hold") is None
    texts.write("shop.hold", "one")
    texts.write("shop.hold", "two")
    assert texts.read("shop.hold") == "two"
    assert [each.name for each in (tmp_path / "lake").iterdir()] == ["shop.hold"]
    texts.delete("shop.hold")
    texts.delete("shop.hold")
    assert texts.read("shop.hold") is None


def test_another_storage_needs_a_session() -> None:
    with pytest.raises(ValueError, match="no folder of this machine"):
        holds_of(Settings(checkpoints="s3a://bucket/checkpoints"), "shop")


def test_a_hold_is_a_line_of_json() -> None:
    texts = FakeTexts()
    hold = Holds(texts, "shop").place("op1", HoldKind.APPENDS)
    assert Hold.model_validate_json(texts.there["shop.hold"]) == hold
