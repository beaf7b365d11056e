"""What can be different between two versions of a schema, and how is it said?"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from controlplane.contract.frozen import Frozen
from controlplane.contract.resolution import bare_name, kind_of


class Change(StrEnum):
    """What happened to a field, or to its type."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    WIDENED = "widened"
    NARROWED = "narrowed"
    TYPE_CHANGED = "type changed"
    DEFAULT_CHANGED = "default changed"
    SYMBOLS_ADDED = "symbols added"
    SYMBOLS_REMOVED = "symbols removed"
    MADE_OPTIONAL = "made optional"
    MADE_REQUIRED = "made required"
    DOC = "doc"


class Way(StrEnum):
    """Which version reads what the other has written?"""

    BACKWARD = "backward"
    """The new one reads older events."""
    FORWARD = "forward"
    """The old one reads newer events."""


class Difference(Frozen):
    """One difference between a version and the one after it."""

    field: str
    """Path of the field; empty for the record itself."""
    change: Change
    before: Any = None
    """As Avro JSON: the field where it was added or removed, else what has changed; None where there was nothing."""
    after: Any = None
    sentence: str
    breaks: tuple[Way, ...] = ()
    """What it makes impossible by itself."""
    advice: dict[Way, str] = Field(default_factory=dict)
    """What to do instead, for each way that it breaks."""


def difference(  # noqa: PLR0913 (all that a difference says)
    path: str,
    change: Change,
    values: tuple[Any, Any],
    sentence: str,
    *,
    backward: str | None = None,
    forward: str | None = None,
) -> Difference:
    """A difference; the advice for a way is given where it breaks that way."""
    advice = {way: text for way, text in ((Way.BACKWARD, backward), (Way.FORWARD, forward)) if text is not None}
    before, after = values
    return Difference(
        field=path, change=change, before=before, after=after, sentence=sentence, breaks=tuple(advice), advice=advice
    )


def described(avro: Any) -> str:  # noqa: ANN401 (Avro types are JSON of any shape)
    """A type as people say it: `timestamp-millis`, `int or string`, `enum Kind`, `array of long`."""
    if isinstance(avro, list):
        return " or ".join(map(described, avro))
    if not isinstance(avro, dict):
        return str(avro)
    match kind_of(avro):
        case "array":
            return f"array of {described(avro['items'])}"
        case "map":
            return f"map of {described(avro['values'])}"
        case "enum" | "record" | "fixed" as kind:
            return f"{kind} {bare_name(avro)}"
        case kind:
            return str(avro.get("logicalType", kind))
