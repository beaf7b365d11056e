"""A crontab means what cron means by it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.service.operations.crontab import next_run, weekdays
from controlplane.service.operations.refusal import RefusedError

THURSDAY = datetime(2026, 11, 26, 8, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        pytest.param("30 3 * * *", "Fri 27 03:30", id="every-night"),
        pytest.param("*/15 * * * *", "Thu 26 09:00", id="every-quarter-and-not-the-one-that-has-just-passed"),
        pytest.param("30 3 * * 1", "Mon 30 03:30", id="one-is-monday"),
        pytest.param("30 3 * * mon", "Mon 30 03:30", id="by-name"),
        pytest.param("0 12 * * 0", "Sun 29 12:00", id="nought-is-sunday"),
        pytest.param("0 12 * * 7", "Sun 29 12:00", id="and-so-is-seven"),
        pytest.param("0 9 * * 1-5", "Thu 26 09:00", id="on-working-days"),
        pytest.param("0 0 1 * *", "Tue 01 00:00", id="by-the-month"),
    ],
)
def test_it_is_due_when_cron_would_run_it(cron: str, due: str) -> None:
    assert f"{next_run(cron, THURSDAY):%a %d %H:%M}" == due


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", "*"),
        ("1,3", "mon,wed"),
        ("5-7", "sun,fri,sat"),
        ("fri-sun", "sun,fri,sat"),
        ("*/2", "sun,tue,thu,sat"),
        ("1-5/2", "mon,wed,fri"),
    ],
)
def test_days_of_the_week_are_named(field: str, days: str) -> None:
    assert weekdays(field) == days


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("at noon", "2 fields"),
        ("61 * * * *", "cron:"),
        ("0 3 * * 8", "'8' is no day of the week"),
        ("0 3 * * 5-2", "ends before it begins"),
        ("0 3 1 * 1", "names a day of the month and one of the week"),
        ("0 3 31 2 *", "is never due"),
    ],
)
def test_what_is_no_crontab_or_can_be_misread_is_refused(cron: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        next_run(cron, THURSDAY)
    assert refused.value.status == 422
