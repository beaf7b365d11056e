"""How is a value of a trial shown? As text, short, with moments in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column

_LONGEST = 200


def text(column: str) -> Column:
    """A value as text, null as null."""
    return sf.substring(sf.col(column).cast("string"), 1, _LONGEST)


def key_of(names: Sequence[str], struct: str | None = None) -> Column:
    """A map of names and texts."""
    prefix = "" if struct is None else f"{struct}."
    if not names:
        return sf.expr("cast(map() as map<string, string>)")
    pairs = (each for name in names for each in (sf.lit(name), text(f"{prefix}{name}")))
    return sf.create_map(*pairs)


def moment(at: datetime) -> datetime:
    """With its zone, UTC, as all times of a session of ours are."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
