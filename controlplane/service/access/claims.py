"""Which rights does a provider's user have here? Rules from a claim's value to a role: `groups=ops:operator@shop;*:viewer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.contract.access import Grant, Role
from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = ("preferred_username", "email", "sub")
_PREFIX = "oidc:"
_LONGEST = 80


class Rule(Frozen):
    """Who has this value in this claim has this right; without a claim everybody has."""

    claim: str | None
    value: str
    grant: Grant


def rules_of(text: str) -> tuple[Rule, ...]:
    """Rules as the settings have them.

    Raises:
        ValueError: naming the one that is none.
    """
    return tuple(_rule(each.strip()) for each in text.split(";") if each.strip())


def grants_of(claims: Mapping[str, Any], rules: Sequence[Rule]) -> tuple[Grant, ...]:
    """The rights of who has these claims; none: they may not sign in."""
    return tuple(dict.fromkeys(rule.grant for rule in rules if _fits(claims, rule)))


def name_of(claims: Mapping[str, Any]) -> str:
    """What they are called here; no local user's name begins like that.

    An address that the provider has not verified is somebody's word, and not taken.
    """
    known = {**claims, "email": claims.get("email") if claims.get("email_verified") is True else None}
    found = next(str(known[name]) for name in _NAMES if known.get(name))
    return f"{_PREFIX}{''.join(each for each in found if each.isprintable())}"[:_LONGEST]


def _rule(text: str) -> Rule:
    who, _, right = text.rpartition(":")
    claim, _, value = who.partition("=")
    role, _, streams = right.partition("@")
    if role not in tuple(Role) or not (who == "*" or (claim and value)):
        raise ValueError(
            f"TIDEGATE_OIDC_ROLES: {text!r} is no rule; write claim=value:role, claim=value:role@stream,stream or *:role "
            f"(roles: {', '.join(Role)})"
        )
    of = tuple(each for each in streams.split(",") if each) or ("*",)
    return Rule(claim=None if who == "*" else claim, value=value, grant=Grant(role=Role(role), streams=of))


def _fits(claims: Mapping[str, Any], rule: Rule) -> bool:
    if rule.claim is None:
        return True
    found = claims.get(rule.claim)
    return rule.value in map(str, found) if isinstance(found, list) else str(found) == rule.value
