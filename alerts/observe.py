"""What does the control plane know now? Asked over HTTP each second; when it does not answer, that is what is known."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import httpx
from pydantic import TypeAdapter

from alerts.policy.observed import Observed, Remembered
from controlplane.contract.access import authorization
from controlplane.contract.facts import FACTS, Fact
from controlplane.contract.operations import PATH as OPERATIONS
from controlplane.contract.operations import Operation, OperationState
from controlplane.contract.orders import ORDERS, PATH
from controlplane.contract.replays import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.contract.gates import GateOrdered

_TIMEOUT_S = 3.0
_DONE_EVERY_BEATS = 5
"""What operators have done is asked for less often."""
_ENDED = [state.value for state in OperationState if state.has_ended]
_OPERATIONS_AT_ONCE = 100
_OPERATIONS: TypeAdapter[list[Operation]] = TypeAdapter(list[Operation])
_WORKS: TypeAdapter[list[Work]] = TypeAdapter(list[Work])
_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where facts come from."""

    def look(self) -> Observed:
        """What is known now; never raises."""

    def orders(self) -> Sequence[GateOrdered]:
        """What operators have told gates, as heard last."""


class ControlPlane:
    """The control plane at an address.

    Args:
        api: the address.
        token: by which parts know each other.
        now: the clock.
    """

    def __init__(self, api: str, token: str, now: Callable[[], datetime]) -> None:
        self._client = httpx.Client(base_url=api, headers=authorization(token), timeout=_TIMEOUT_S)
        self._now = now
        self._remembered = Remembered()
        self._orders: Sequence[GateOrdered] = ()
        self._works: tuple[Work, ...] = ()
        self._operations: tuple[Operation, ...] = ()
        self._answers = True
        self._beats = 0

    def look(self) -> Observed:
        """The facts, and what operators have done."""
        try:
            answer = self._client.get("/api/v1/facts").raise_for_status()
            facts = self._remembered.with_kept(FACTS.validate_json(answer.content))
            if self._beats % _DONE_EVERY_BEATS == 0:
                self._orders = ORDERS.validate_json(self._client.get(PATH).raise_for_status().content)
                self._works = self._replays()
                self._operations = self._ended()
        except (httpx.HTTPError, ValueError) as error:
            return self._unanswered(error)
        self._beats += 1
        if not self._answers:
            _log.warning("the control plane answers again")
        self._answers = True
        began = answer.headers.get("tidegate-began")
        since = None if began is None else datetime.fromisoformat(began)
        return Observed(self._now(), facts, since, self._works, self._operations)

    def orders(self) -> Sequence[GateOrdered]:
        """As heard last."""
        return self._orders

    def _replays(self) -> tuple[Work, ...]:
        """Quality's own; while it does not answer, those that it had."""
        try:
            answer = self._client.get("/api/v1/quarantine/replays").raise_for_status()
            return tuple(_WORKS.validate_json(answer.content))
        except (httpx.HTTPError, ValueError) as error:
            _log.debug("no replays: %s", error)
            return self._works

    def _ended(self) -> tuple[Operation, ...]:
        """While they cannot be read, those that were."""
        try:
            query: dict[str, list[str] | int] = {"state": _ENDED, "limit": _OPERATIONS_AT_ONCE}
            answer = self._client.get(OPERATIONS, params=query).raise_for_status()
            found = _OPERATIONS.validate_python(answer.json()["items"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            _log.debug("no operations: %s", error)
            return self._operations
        return tuple(each for each in found if each.confirmed_at is not None)

    def _unanswered(self, error: Exception) -> Observed:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer'}"
        if self._answers:
            _log.warning("the control plane at %s does not answer: %s", self._client.base_url, reason)
        self._answers = False
        return Observed(self._now(), works=self._works, operations=self._operations, reason=reason)


class FakeSource:
    """Knows what it is given."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.facts: tuple[Fact, ...] | None = ()
        self.given: list[GateOrdered] = []

    def look(self) -> Observed:
        """What it was given."""
        return Observed(self._now(), self.facts, reason=None if self.facts is not None else "refused")

    def orders(self) -> Sequence[GateOrdered]:
        """Those it was given."""
        return self.given
