"""How old is the oldest record that each consumer has not taken? What must be read to know that is read, and no more.

At most `READS` single records a round, whoever's lag in seconds is the least known first; all consumers of a partition know of what
was read for one of them. Who is known closely enough by records that were read before needs no reading.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from controlplane.contract.lag import LagSource
from lag_monitor.seconds import Mark, Marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lag_monitor.judge import Looked, Reading
    from lag_monitor.kafka.records import Found, Place, Records
    from lag_monitor.seconds import Age

READS = 64
"""So many single records a round, at most."""
CLOSE_ENOUGH_S = 1.0
"""A lag in seconds with a smaller error needs no reading."""
CLOSE_ENOUGH = 0.02
"""Nor one whose error is a smaller share of it."""


class Dating:
    """Remembers what was read of each partition."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._marks: dict[Place, Marks] = {}

    def learn(self, place: Place, asked: tuple[int, int], found: Found) -> None:
        """What was found in `[start, end)` of a partition."""
        marks = self._marks.setdefault(place, Marks())
        if found.offset is None:
            marks.read_nothing(asked[0], found.until)
        else:
            marks.read(asked[0], Mark(found.offset, found.timestamp_ms), grows=found.is_stamped_by_broker)

    def forget(self, place: Place) -> None:
        """Another topic has the name now."""
        self._marks.pop(place, None)

    def date(self, looked: Sequence[Looked]) -> list[Looked]:
        """The same, with ages where they are known.

        Raises:
            UnknownError: if nothing can be read at all.
        """
        self._read(looked)
        return [
            replace(each, readings={n: self._dated(each, n, was) for n, was in each.readings.items()})
            for each in looked
        ]

    def _read(self, looked: Iterable[Looked]) -> None:
        wanted: dict[Place, tuple[float, int, int]] = {}
        for each in looked:
            for partition, reading in each.readings.items():
                place = (each.consumer.topic, partition)
                need = _need(self._age(each, partition, reading), reading)
                if need > wanted.get(place, (0.0, 0, 0))[0]:
                    wanted[place] = (need, _from(reading), reading.end or 0)
        worst = sorted(wanted, key=lambda place: wanted[place][0], reverse=True)[:READS]
        places = {place: wanted[place][1:] for place in worst}
        for place, record in self._records.first(places).items():
            self.learn(place, places[place], record)

    def _dated(self, looked: Looked, partition: int, reading: Reading) -> Reading:
        return replace(reading, age=self._age(looked, partition, reading))

    def _age(self, looked: Looked, partition: int, reading: Reading) -> Age | None:
        if reading.position is None or reading.end is None:
            return None
        marks = self._marks.setdefault((looked.consumer.topic, partition), Marks())
        return marks.age(_from(reading), reading.end, looked.at.timestamp() * 1000)


def _need(age: Age | None, reading: Reading) -> float:
    """How much reading there would tell; 0: nothing that matters."""
    if reading.position is None or reading.end is None or reading.position >= reading.end:
        return 0.0
    if age is None:
        return float("inf")
    if age.source is not LagSource.BETWEEN or age.error_s <= max(CLOSE_ENOUGH_S, CLOSE_ENOUGH * age.lag_s):
        return 0.0
    return age.error_s


def _from(reading: Reading) -> int:
    """The first offset that it can still take."""
    return max(reading.position or 0, reading.low or 0)
