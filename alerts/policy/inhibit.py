"""Of what is a cause merely the consequence? One incident a cause: what another explains is shown, and wakes nobody.

What comes first on an event's way explains what comes later, and a part that is down explains what is measured behind it.
A cause whose condition is unknown explains nothing: rather one page too many than a silence that nobody asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.gates import Stage
from controlplane.contract.names import Hop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alerts.incidents import Key

CONTROL = "control"
SUPERVISOR = "supervisor"
KAFKA = "kafka"
_FOUNDATIONS = (CONTROL, SUPERVISOR, KAFKA)
_WITHOUT_KAFKA = (*_FOUNDATIONS, "clickhouse", "console", "alerts")
"""Parts that work on without a broker."""
_MEASURED = ("lag", "freshness", "latency", "validity", "ledger_unknown", "probes")
_BEHIND: dict[str, tuple[str, ...]] = {
    "registry": (Hop.VALID,),
    "route": (Hop.VALID,),
    "lake": (Hop.LAKE,),
    "live": (Hop.SERVING,),
    "clickhouse": (Hop.SERVING,),
}
"""Part -> hops that fall behind without it."""
_STOPPED = {
    Stage.INGEST: (Hop.VALID, Hop.LAKE, Hop.SERVING),
    Stage.LAKE: (Hop.LAKE,),
}
"""Stage -> hops that get nothing while it waits."""
_WAY = ("route", "live", "clickhouse")
"""Parts that an event passes before the hub reads it."""
_NEEDS = {"live": ("clickhouse",), "route": ("registry",), "lake": ("registry",)}


def explains(cause: Key, other: Key) -> bool:
    """Does the first cause explain the second?"""
    (rule, subject), (other_rule, about) = cause, other
    if rule == "part_down":
        return _part_explains(subject, other_rule, about)
    if rule in ("gate_failed", "gate_misconfigured", "breaker_open"):
        stream, _, stage = subject.partition("/")
        return _stage_explains(rule, stream, stage, other_rule, about)
    if rule == "lag":
        stream, _, hop = subject.partition("/")
        if other_rule == "probes":
            return hop in (Hop.VALID, Hop.SERVING)
        return other == ("freshness", subject) or (other == ("latency", stream) and hop == Hop.SERVING)
    return False


def _part_explains(part: str, rule: str, about: str) -> bool:
    if rule == "part_down":
        return part in _NEEDS.get(about, ()) or (part == KAFKA and about not in _WITHOUT_KAFKA)
    if part in _FOUNDATIONS:
        return rule in _MEASURED
    if rule in ("lag", "freshness"):
        return about.partition("/")[2] in _BEHIND.get(part, ())
    if rule == "latency":
        return part in _WAY
    if rule == "probes":
        return part in (*_WAY, "registry", "lag")
    return rule == "ledger_unknown" and part in ("ledger", "clickhouse", "lag")


def _stage_explains(rule: str, stream: str, stage: str, other_rule: str, about: str) -> bool:
    other_stream, _, place = about.partition("/")
    if other_stream != stream:
        return False
    if other_rule in ("lag", "freshness"):
        return place in _STOPPED.get(Stage(stage), ())
    if rule == "breaker_open":
        return other_rule == "validity" or (other_rule == "gate_failed" and place == stage)
    return rule == "gate_misconfigured" and other_rule == "gate_failed" and place == stage


def inhibitor(key: Key, causes: Iterable[Key]) -> Key | None:
    """The first of the causes, by name, that explains this one."""
    return next((cause for cause in sorted(causes) if cause != key and explains(cause, key)), None)
