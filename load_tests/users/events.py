"""What events does a run send? Those of the stream's own generator, from a seed that is the run's, each with an id of the run."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from pipeline.feed import shop
from pipeline.loads.ids import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from load_tests.users.schedule import Piece

    Generate = Callable[[Piece], list[dict[str, Any]]]


def generator(stream: str, run: int) -> Generate:
    """The events of a piece; pieces are asked for in order. The shop's happen now, flights when they did."""
    return _flights(run) if stream == "flights" else _shop(run)


def _shop(run: int) -> Generate:
    def events(piece: Piece) -> list[dict[str, Any]]:
        now = datetime.now(UTC)
        found = [shop.event(run, position, 0.0, now).value for position in range(piece.start, piece.until)]
        return _marked("shop", found, run, piece)

    return events


def _flights(run: int) -> Generate:
    from pipeline.feed import flights

    def again() -> Iterator[dict[str, Any]]:
        while True:
            yield from (each.value for each in flights.events())

    source = again()
    # The file is read with the first one: a second or two, which must not fall into the load.
    source = chain([next(source)], source)
    return lambda piece: _marked("flights", list(islice(source, piece.count)), run, piece)


def _marked(stream: str, values: list[dict[str, Any]], run: int, piece: Piece) -> list[dict[str, Any]]:
    for position, value in enumerate(values, piece.start):
        mark(stream, value, run, position)
    return values
