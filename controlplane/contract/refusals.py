"""Why is a schema refused, in words that say what to do?

The registry decides. What it says names types and positions (`reader type: INT not compatible with writer type: STRING at
/fields/1/type`) and not always the field, so our own differences to the versions that its mode compares with are said first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from controlplane.contract.changes import Way
from controlplane.contract.differences import differences
from controlplane.contract.frozen import Frozen
from controlplane.contract.streams import Compatibility

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.contract.changes import Difference

_APICURIO = re.compile(r"list of diff types: \[(?P<causes>.*)\]", re.DOTALL)
_NOT_TOLD = re.compile(r"^(?:[\w.$]+(?:Exception|Error): )+")
_AT = re.compile(r"(?<= at )(/[^\s,]*), ")


class Refusal(Frozen):
    """The registry's no, and what is behind it."""

    subject: str
    mode: str
    registry_says: tuple[str, ...]
    """Its own words, a cause each."""
    objections: tuple[str, ...] = ()
    """Ours: field, what, why not, what to do. Empty when our differences do not explain it."""

    def __str__(self) -> str:
        """All of it in one line."""
        return f"{self.subject} ({self.mode}) refuses the schema: {'; '.join(self.objections or self.registry_says)}"


class SchemaRefusedError(Exception):
    """The registry does not take a schema, because it is not compatible with those before it."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(str(refusal))


def refusal(
    subject: str, mode: str, versions: Mapping[int, dict[str, Any]], candidate: dict[str, Any], said: tuple[str, ...]
) -> Refusal:
    """What to say of a schema that the registry refuses.

    Args:
        subject: it was to be a version of.
        mode: the subject's compatibility, one of `Compatibility`.
        versions: version -> schema, all that there are.
        candidate: the schema that is refused.
        said: what the registry says, see `causes_in`.
    """
    return Refusal(
        subject=subject, mode=mode, registry_says=said, objections=tuple(_objections(mode, versions, candidate))
    )


def causes_in(message: str) -> tuple[str, ...]:
    """The single causes in a registry's message; the whole of it, without names of Java's exceptions, where it lists none."""
    listed = _APICURIO.search(message)
    if listed is None:
        return (_NOT_TOLD.sub("", message.strip()),)
    return tuple(_AT.sub("\\1\n", listed["causes"]).split("\n"))


def _objections(mode: str, versions: Mapping[int, dict[str, Any]], candidate: dict[str, Any]) -> list[str]:
    found: dict[tuple[str, Way, str], list[int]] = {}
    for version in _compared(mode, versions):
        for each in differences(versions[version], candidate):
            for way in _broken(mode, each):
                found.setdefault((each.sentence, way, each.advice[way]), []).append(version)
    return [_objection(*what, against) for what, against in found.items()]


def _compared(mode: str, versions: Mapping[int, dict[str, Any]]) -> list[int]:
    newest_first = sorted(versions, reverse=True)
    return newest_first if mode.endswith("_TRANSITIVE") else newest_first[:1]


def _broken(mode: str, one: Difference) -> list[Way]:
    asked = _ASKED.get(mode.removesuffix("_TRANSITIVE"), ())
    return [way for way in one.breaks if way in asked]


_ASKED: dict[str, tuple[Way, ...]] = {
    Compatibility.BACKWARD: (Way.BACKWARD,),
    Compatibility.FORWARD: (Way.FORWARD,),
    Compatibility.FULL: (Way.BACKWARD, Way.FORWARD),
}


def _objection(sentence: str, way: Way, advice: str, against: list[int]) -> str:
    which = f"version {against[0]}" if len(against) == 1 else f"versions {', '.join(map(str, sorted(against)))}"
    why = {
        Way.BACKWARD: f"events of {which} could not be read with it",
        Way.FORWARD: f"who still reads with {which} could not read its events",
    }
    return f"{sentence}: {why[way]}; {advice}"
