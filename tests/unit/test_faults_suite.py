"""The fault suite itself: it deals every fault, the same for the same seed, and what it finds it does not hide."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.names import Hop
from load_tests.bench.faults.fault import chosen, every
from load_tests.bench.faults.heard import unexpected
from load_tests.bench.faults.load import NOBODY, SEED, of_key, of_position
from load_tests.bench.faults.truth import Account
from pipeline.feed import shop

if TYPE_CHECKING:
    from pathlib import Path


def test_as_many_rounds_as_there_are_faults_deal_each_once() -> None:
    assert Counter(map(str, chosen(len(every()), 1, every()))) == Counter(map(str, every()))


def test_the_same_seed_deals_the_same_rounds_and_another_seed_others() -> None:
    assert chosen(100, 7, every()) == chosen(100, 7, every())
    assert chosen(100, 7, every()) != chosen(100, 8, every())


def test_where_a_feed_event_belongs_follows_from_its_position() -> None:
    belongs = Counter(of_position(position)[0] for position in range(5_000))
    assert set(belongs) == {Hop.VALID, Hop.DEAD, Hop.QUARANTINE}
    hop, event_id = of_position(0)
    assert (hop, event_id) == (Hop.VALID, shop.event(SEED, 0, 0.0, datetime.now(UTC)).value["event_id"])


def test_a_record_that_nobody_here_sent_is_an_error() -> None:
    assert of_key("burst:valid:abc") == (Hop.VALID, "abc")
    for key in ("u1:s:x", NOBODY):
        with pytest.raises(ValueError, match="nobody here sent it"):
            of_key(key)


def test_what_a_store_lacks_and_has_twice_is_counted_with_examples() -> None:
    account = Account()
    account.note("the lake", [1, 2], [3])
    assert (account.lost, account.duplicated) == (2, 1)
    assert account.examples == ["the lake lacks 1", "the lake lacks 2", "the lake has more than once 3"]


def test_an_error_that_no_fault_explains_is_found_and_named_once(tmp_path: Path) -> None:
    (tmp_path / "route.log").write_text("INFO all is well\n2026 ERROR something else\n2026 ERROR something else\n")
    assert unexpected(tmp_path) == ["route: 2026 ERROR something else"]
