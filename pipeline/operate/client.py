"""How does the worker talk to the control plane? Over HTTP, with the parts' token; it asks for work and tells what comes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from controlplane.contract.lag import LagFrame
from controlplane.contract.operations import LEASE_PATH, PATH, Heard, LeaseAsked, Leased, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controlplane.contract.operations import Wish, WorkerSays

_TIMEOUT_S = 10.0
_AWAY_AT_MOST_S = 600.0
_T = TypeVar("_T")


class AwayError(Exception):
    """The control plane does not answer; it may later."""


class LeaseLostError(Exception):
    """Somebody else has the operation by now, or it has ended: nothing more may be done to it."""


def until_answered(ask: Callable[[], _T], again_after_s: float) -> _T:
    """Ask a control plane that may be starting anew, again and again.

    Raises:
        AwayError: if it does not answer in ten minutes.
    """
    until = time.monotonic() + _AWAY_AT_MOST_S
    while True:
        try:
            return ask()
        except AwayError:
            if time.monotonic() > until:
                raise
            time.sleep(again_after_s)


class ControlPlane:
    """The control plane, as a worker needs it; every method may be called from any thread."""

    def __init__(self, api: str, headers: Mapping[str, str]) -> None:
        self._client = httpx.Client(base_url=api, headers=dict(headers), timeout=_TIMEOUT_S)

    def lease(self, asked: LeaseAsked) -> Leased | None:
        """Work; None: there was none for as long as `asked.wait_s`.

        Raises:
            AwayError: if it does not answer.
        """
        answer = self._ask("POST", LEASE_PATH, asked.model_dump(mode="json"), timeout=_TIMEOUT_S + asked.wait_s)
        return None if answer.status_code == httpx.codes.NO_CONTENT else Leased.model_validate_json(answer.content)

    def said(self, number: str, says: WorkerSays) -> Wish:
        """Tell of an operation; what operators want of it.

        Raises:
            AwayError: if it does not answer.
            LeaseLostError: if it is no longer this worker's.
        """
        return Heard.model_validate_json(self._ask("POST", f"{PATH}/{number}/said", _told(says)).content).wish

    def operation(self, number: str) -> Operation:
        """An operation as it is kept.

        Raises:
            AwayError: if it does not answer.
        """
        return Operation.model_validate_json(self._ask("GET", f"{PATH}/{number}").content)

    def lag(self) -> LagFrame:
        """How far behind everything is.

        Raises:
            AwayError: if it does not answer.
        """
        return LagFrame.model_validate_json(self._ask("GET", "/api/v1/lag").content)

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def _ask(self, method: str, path: str, body: object = None, timeout: float = _TIMEOUT_S) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body, timeout=timeout)
        except httpx.HTTPError as error:
            raise AwayError(f"{method} {path}: {error or type(error).__name__}") from error
        if answer.status_code in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
            raise LeaseLostError(answer.text)
        if answer.is_error:
            raise AwayError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer


def _told(says: WorkerSays) -> dict[str, Any]:
    return says.model_dump(mode="json", exclude_defaults=True)
