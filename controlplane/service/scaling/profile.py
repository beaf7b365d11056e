"""How does a load change over time? `2m:2000, 3m:8000>2000` is so long so many events a second, then from one rate to another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate

from controlplane.contract.durations import parse_duration

_PIECE = re.compile(r"(?P<lasts>[^:]+):(?P<first>\d+(?:\.\d+)?)(?:>(?P<last>\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Piece:
    """A length of time, in which the rate goes straight from one value to another."""

    lasts_s: float
    first: float
    last: float


@dataclass(frozen=True)
class Profile:
    """Events a second over time; after the last piece it stays as it was."""

    pieces: tuple[Piece, ...]

    @property
    def lasts_s(self) -> float:
        """All pieces together."""
        return sum(piece.lasts_s for piece in self.pieces)

    def at(self, elapsed_s: float) -> float:
        """Events a second, so long after the beginning."""
        ends = accumulate(piece.lasts_s for piece in self.pieces)
        for piece, end in zip(self.pieces, ends, strict=True):
            if elapsed_s < end:
                share = 1 - (end - elapsed_s) / piece.lasts_s
                return piece.first + (piece.last - piece.first) * share
        return self.pieces[-1].last


def parse_profile(written: str) -> Profile:
    """Read a load.

    Raises:
        ValueError: says which piece cannot be read, and how one is written.
    """
    return Profile(tuple(_piece(each.strip()) for each in written.split(",")))


def _piece(written: str) -> Piece:
    match = _PIECE.fullmatch(written)
    if match is None:
        raise ValueError(f"{written!r} is no piece of a load; write a time and a rate, such as 5m:8000 or 3m:8000>2000")
    lasts_s = parse_duration(match["lasts"]).total_seconds()
    if lasts_s <= 0:
        raise ValueError(f"{written!r}: a piece lasts longer than that")
    first = float(match["first"])
    return Piece(lasts_s, first, first if match["last"] is None else float(match["last"]))
