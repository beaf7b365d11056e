"""What does an entry say of a request? What was asked, by whom, of what, and what came of it. Pure, and without secrets.

The action is the route's own words (`scaling.policy.put`), the subject what stood in their place. A body is kept as it came, as
long as it is short JSON that has nothing to do with signing in; what is called like a secret is masked.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

PREFIX = "/api/v1/"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
REPORTS = re.compile(r"^/api/v1/(facts|operations/lease|operations/[^/]+/said)$")
"""What rooms tell, all the time: what it is about is recorded where it is decided."""
_NAMED = {"sql": "query.run"}
_UNSPOKEN = re.compile(r"(^|/)(session|sessions|sign-in|users|tokens|oidc)(/|$)")
_SECRET = re.compile(r"pass|secret|token|credential|authorization|cookie|private|api_?key|routing_?key", re.IGNORECASE)
_MASK = "***"
_BODY_AT_MOST = 8_000
_REFUSED_FROM, _FAILED_FROM, _FORBIDDEN = 400, 500, 403


class Entry(Frozen):
    """What is recorded of a request, but for who asked."""

    action: str
    subject: str
    stream: str | None
    outcome: str
    reason: str | None
    details: dict[str, Any]


def is_recorded(method: str, path: str, status: int, *, is_service: bool) -> bool:
    """Is a request of a kind that is recorded? All that changes something, and all that somebody had no right to."""
    if not path.startswith(PREFIX):
        return False
    is_refused = status >= _REFUSED_FROM
    if REPORTS.match(path) or is_service:
        return is_refused and not is_service
    return method not in READING or status == _FORBIDDEN


def entry_of(  # noqa: PLR0913 (what a request is made of)
    method: str, path: str, route: str | None, query: str, body: bytes, status: int, answer: bytes
) -> Entry:
    """What is recorded.

    Args:
        method: of HTTP.
        path: as it was asked, without the query.
        route: the path with the names of its parameters, such as `/api/v1/scaling/{target}/scale`; None when no route fits.
        query: what stood behind the `?`.
        body: as it came; empty when it was too long to be kept.
        status: of the answer.
        answer: its body, if it was refused.
    """
    asked = _body(path, body)
    action, subject = _named(method, path, route)
    if action == "query.run" and isinstance(asked, dict):
        subject = str(asked.get("engine", subject))
    details: dict[str, Any] = {"status": status}
    if query:
        details["query"] = {key: _MASK if _SECRET.search(key) else value for key, value in parse_qsl(query)}
    if asked is not None:
        details["asked"] = asked
    outcome = "ok" if status < _REFUSED_FROM else "refused" if status < _FAILED_FROM else "failed"
    reason = None if outcome == "ok" else _reason(answer)
    stream = _stream(path, asked)
    return Entry(action=action, subject=subject, stream=stream, outcome=outcome, reason=reason, details=details)


def _named(method: str, path: str, route: str | None) -> tuple[str, str]:
    parts = [unquote(part) for part in path.removeprefix(PREFIX).split("/")]
    pattern = (route or path).removeprefix(PREFIX).split("/")
    words = [part for part in pattern if part and not part.startswith("{")]
    subject = "/".join(part for index, part in enumerate(parts) if _is_open(pattern, index)).strip("/")
    if route is None or not words:
        words = parts[:1]
    action = _NAMED.get(".".join(words)) or ".".join([*words, *([] if method == "POST" else [method.lower()])])
    return action, subject or "/".join(parts)


def _is_open(pattern: list[str], index: int) -> bool:
    """Does a parameter of the route stand there? The last one may reach to the end."""
    return pattern[min(index, len(pattern) - 1)].startswith("{")


def _stream(path: str, asked: JsonValue) -> str | None:
    if isinstance(asked, dict):
        inner = asked.get("asked")
        for where in (asked, inner if isinstance(inner, dict) else {}):
            if isinstance(where.get("stream"), str):
                return str(where["stream"])
    found = re.search(r"/(?:streams|schemas|ledger)/([^/]+)", path)
    return unquote(found[1]) if found else None


def _body(path: str, body: bytes) -> Any:  # noqa: ANN401 (JSON)
    if not body or _UNSPOKEN.search(path):
        return None
    if len(body) > _BODY_AT_MOST:
        return {"left_out": f"{len(body)} bytes"}
    try:
        return masked(json.loads(body))
    except ValueError:
        return {"left_out": f"{len(body)} bytes that are no JSON"}


def masked(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """JSON in which what is called like a secret is masked."""
    match value:
        case dict():
            return {key: _MASK if _SECRET.search(str(key)) else masked(each) for key, each in value.items()}
        case list():
            return [masked(each) for each in value]
    return value


def _reason(answer: bytes) -> str | None:
    try:
        said: Mapping[str, JsonValue] = json.loads(answer)
        return str(said["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.decode("utf-8", "replace")[:500] or None
