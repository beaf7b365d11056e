"""When is a crontab's five fields due? As cron has it: 0 and 7 are Sunday, which APScheduler counts from Monday.

Cron takes a day of the month and one of the week together as "either", APScheduler as "both": what can be misread is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from controlplane.service.operations.refusal import mistaken

_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = 5
_ITEM = re.compile(r"(\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


def next_run(cron: str, after: datetime) -> datetime:
    """When it is due next after a moment, in UTC.

    Raises:
        RefusedError: 422, if these are no five fields of a crontab.
    """
    fields = cron.split()
    if len(fields) != _FIELDS:
        raise mistaken(f"cron: {cron!r} has {len(fields)} fields; give five, such as '30 3 * * 1'")
    minute, hour, day, month, weekday = fields
    if "*" not in (day, weekday):
        raise mistaken(
            f"cron: {cron!r} names a day of the month and one of the week: give one of them, and * for the other"
        )
    try:
        trigger = CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=weekdays(weekday), timezone=UTC
        )
    except ValueError as error:
        raise mistaken(f"cron: {error}; give five fields of a crontab, such as '30 3 * * 1'") from error
    found: datetime | None = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    if found is None:
        raise mistaken(f"cron: {cron!r} is never due")
    return found


def weekdays(field: str) -> str:
    """The fifth field of a crontab with names for days.

    Raises:
        ValueError: if it is none.
    """
    if field == "*":
        return field
    return ",".join(_NAMES[day] for day in sorted({day for item in field.split(",") for day in _days(item)}))


def _days(item: str) -> list[int]:
    match = _ITEM.fullmatch(item.lower())
    if match is None:
        raise ValueError(f"{item!r} is no day of the week")
    whole, first, last, step = match.groups()
    if whole == "*":
        begin, end = 0, 6
    else:
        begin = _day(first)
        end = _day(last) if last else 6 if step else begin
        end = 7 if last and end == 0 < begin else end
    if end < begin:
        raise ValueError(f"{item!r} ends before it begins")
    return [day % 7 for day in range(begin, end + 1, int(step or 1) or 1)]


def _day(said: str) -> int:
    if said in _NAMES:
        return _NAMES.index(said)
    if said.isdigit() and int(said) <= len(_NAMES):
        return int(said)
    raise ValueError(f"{said!r} is no day of the week: 0 to 7, or {_NAMES[0]} to {_NAMES[-1]}")
