"""How is PagerDuty told? Events API v2, by `pdpyras`; the only file that knows of it, so that its successor can replace it.

Limits and answers are those of https://developer.pagerduty.com/docs/events-api-v2-overview: 202 is taken, 400 is wrong for
good, 429 and 5xx and no answer may be taken later. `pdpyras` would sleep and try again by itself, without an end on 429; the
outbox decides that here, so each call is one request. The routing key goes into the body and nowhere else.
"""

from __future__ import annotations

import json
import warnings
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from alerts.sender import Action, Answer, Came

with warnings.catch_warnings():
    # It says at its import that it is no longer developed.
    warnings.simplefilter("ignore")
    from pdpyras import ChangeEventsAPISession, EventsAPISession, PDClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pydantic import SecretStr

    from alerts.sender import Event

SUMMARY_AT_MOST = 1024
KEY_AT_MOST = 255
EVENT_BYTES_AT_MOST = 512 * 1024
_DETAIL_AT_MOST = 2000
_DETAILS_AT_MOST = 50
_LEFT_FOR_THE_REST = 32 * 1024
_SAID_AT_MOST = 2000
_TIMEOUT_S = 5.0
_TOO_MANY = 429
_FAULT_FROM = 500


class _TooManyError(Exception):
    """429, before `pdpyras` sleeps on it."""

    def __init__(self, response: Any) -> None:  # noqa: ANN401 (its library has no types)
        super().__init__()
        self.response = response


class _Once:
    """One request a call: `postprocess` is asked with each answer, before it is decided whether to try again."""

    def postprocess(self, response: Any) -> None:  # noqa: ANN401
        if response.status_code == _TOO_MANY:
            raise _TooManyError(response)


class _Events(_Once, EventsAPISession):  # type: ignore[misc]
    pass


class _Changes(_Once, ChangeEventsAPISession):  # type: ignore[misc]
    pass


class PagerDuty:
    """A service's integration at PagerDuty; for one thread.

    Args:
        address: of the Events API, `https://events.pagerduty.com`.
        routing_key: the integration's.
        now: the clock, for a `Retry-After` that is a date.
    """

    def __init__(self, address: str, routing_key: SecretStr, now: Callable[[], datetime]) -> None:
        self._now = now
        self._events, self._changes = (kind(routing_key.get_secret_value()) for kind in (_Events, _Changes))
        for session in (self._events, self._changes):
            session.url = address.rstrip("/")
            session.timeout = _TIMEOUT_S
            session.retry = {}
            session.max_network_attempts = 0

    def send(self, event: Event) -> Answer:
        """One request."""
        try:
            self._request(event)
        except _TooManyError as error:
            return Answer(Came.LATER, _said(error.response), self._asked_for(error.response.headers), holds_all=True)
        except PDClientError as error:
            return self._failed(error)
        return Answer(Came.SENT)

    def _request(self, event: Event) -> None:
        body = body_of(event)
        if event.action is Action.CHANGE:
            self._changes.send_change_event(routing_key=self._changes.api_key, **body)
        else:
            self._events.send_event(event.action.value, dedup_key=event.key[:KEY_AT_MOST], **body)

    def _failed(self, error: PDClientError) -> Answer:
        response = error.response
        if response is None:
            return Answer(Came.LATER, f"does not answer ({type(error.__cause__ or error).__name__})", holds_all=True)
        if response.status_code >= _FAULT_FROM or response.ok:
            return Answer(Came.LATER, _said(response), self._asked_for(response.headers))
        return Answer(Came.REFUSED, _said(response))

    def _asked_for(self, headers: Mapping[str, str]) -> timedelta | None:
        """`Retry-After`: seconds or a date."""
        written = headers.get("Retry-After", "")
        if written.isdecimal():
            return timedelta(seconds=int(written))
        try:
            return max(parsedate_to_datetime(written) - self._now(), timedelta(0))
        except (TypeError, ValueError):
            return None


def _said(response: Any) -> str:  # noqa: ANN401
    return f"{response.status_code}: {response.text[:_SAID_AT_MOST]}".strip()


def body_of(event: Event) -> dict[str, Any]:
    """What is sent of an event besides key and action, within PagerDuty's limits.

    A body that is still too large loses its details rather than being refused: better a page without them than none.
    """
    if event.action in (Action.ACKNOWLEDGE, Action.RESOLVE):
        return {}
    payload: dict[str, Any] = {"summary": _short(event.summary, SUMMARY_AT_MOST), "source": event.source}
    if event.at is not None:
        payload["timestamp"] = event.at.isoformat()
    body: dict[str, Any] = {"payload": payload, "links": [link.model_dump() for link in event.links]}
    if event.action is Action.TRIGGER:
        payload["severity"] = event.severity.value
        named = {"component": event.component, "group": event.group, "class": event.kind}
        payload.update({name: value for name, value in named.items() if value is not None})
        body["client"] = "Tidegate"
        if event.client_url is not None:
            body["client_url"] = event.client_url
    payload["custom_details"] = {
        str(name): _short(str(value), _DETAIL_AT_MOST) for name, value in [*event.details.items()][:_DETAILS_AT_MOST]
    }
    if len(json.dumps(body).encode()) > EVENT_BYTES_AT_MOST - _LEFT_FOR_THE_REST:
        payload["custom_details"] = {"left out": "the details were too large for PagerDuty"}
    return body


def _short(text: str, at_most: int) -> str:
    return text if len(text) <= at_most else f"{text[: at_most - 4]} ..."
