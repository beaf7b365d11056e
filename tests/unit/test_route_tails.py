"""Where does a run of route begin? Far enough back that what was on its way is read again, whatever ended the run before."""

from __future__ import annotations

from pipeline.route.tails import DELIVERY_TIMEOUT, MARGIN, begin


def test_a_run_after_one_that_ended_soon_begins_no_later_than_that_one() -> None:
    # Dead letter 100 was on its way when the run before ended; valid 151 has landed since, long after 150.
    assert begin(0, 151, 95) == 95


def test_it_may_begin_earlier_and_alone_it_begins_where_all_had_landed() -> None:
    assert begin(0, 80, 95) == 80
    assert begin(0, 151, None) == 151


def test_what_retention_has_taken_is_not_asked_for() -> None:
    assert begin(120, 151, 95) == 120


def test_the_margin_is_longer_than_anything_may_be_on_its_way() -> None:
    assert MARGIN >= 2 * DELIVERY_TIMEOUT
