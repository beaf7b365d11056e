"""`tidegate alerts`: what it prints, what it asks for, and how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from typer.testing import CliRunner

from controlplane.cli import app
from controlplane.commands import alerts as alert_commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INCIDENT = {
    "id": "0123456789ab", "rule": "gate_failed", "subject": "shop/lake", "title": "A gate does not let data through",
    "severity": "critical", "reason": "micro-batch 17 halted: because", "page": "/quality/shop", "condition": "wrong",
    "opened_at": "2026-01-01T03:00:00Z", "paged_at": "2026-01-01T03:00:00Z", "acknowledged_by": None,
    "acknowledged_at": None, "held_by": None, "resolved_at": None, "resolved_by": None,
}  # fmt: skip
DELIVERY = {"pages": True, "reason": "503: away", "waiting": 2, "refused": 0}
LIST = {"open": [INCIDENT], "past": [], "quiets": [], "delivery": DELIVERY}
SHOWN = {
    **INCIDENT,
    "timeline": [{"at": "2026-01-01T03:00:00Z", "what": "opened", "text": "because", "by": None}],
    "deliveries": [{"action": "trigger", "state": "refused", "attempts": 1, "said": "400: invalid"}],
}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[tuple[str, str, Any]], Callable[..., Any]]:
    """What was asked of the control plane, and a way to run a command."""
    requests: list[tuple[str, str, Any]] = []
    (tmp_path / "up.json").write_text(
        json.dumps({"pid": 1, "environment": {"TIDEGATE_API": "http://control"}, "parts": []})
    )

    def request(method: str, url: str, json: Any = None, headers: Any = None, timeout: float = 0) -> httpx.Response:
        path = url.removeprefix("http://control/api/v1/alerts/")
        requests.append((method, path, json))
        if path.startswith("incidents/nobody"):
            return httpx.Response(404, json={"detail": "there is no incident 'nobody'"})
        if path == "delivery":
            return httpx.Response(503, json={"detail": "alerts does not answer"})
        made = {"id": "q1", "start": "2026-01-01T03:00:00Z", "end": "2026-01-01T04:00:00Z", "pages": False}
        answers: dict[str, Any] = {"incidents": LIST, f"incidents/{INCIDENT['id']}": SHOWN}
        if path.startswith("runbooks/"):
            return httpx.Response(200, text="# Lag\n")
        return httpx.Response(200, json=answers.get(path, [] if (method, path) == ("GET", "windows") else made))

    monkeypatch.setattr(alert_commands.httpx, "request", request)
    return requests, lambda *words: CliRunner().invoke(app, ["alerts", *words, "--data", str(tmp_path)])


Asked = tuple[list[tuple[str, str, Any]], "Callable[..., Any]"]


def test_open_incidents_are_listed_and_a_critical_one_is_exit_code_1(asked: Asked) -> None:
    done = asked[1]("ls")
    assert done.exit_code == 1
    assert "shop/lake" in done.output
    assert "PagerDuty is told; it has not taken 2 of the events: 503: away." in done.output
    assert asked[1]("ls", "--past").exit_code == 0
    assert json.loads(asked[1]("ls", "-o", "json").stdout) == LIST


def test_one_is_shown_with_what_happened_and_what_was_sent(asked: Asked) -> None:
    done = asked[1]("show", str(INCIDENT["id"]))
    assert "2026-01-01 03:00:00 UTC  opened: because" in done.output
    assert "PagerDuty: trigger refused, 1 attempts: 400: invalid" in done.output
    assert "tidegate alerts runbook gate_failed" in done.output


@pytest.mark.parametrize(
    ("words", "request_", "told"),
    [
        (("ack", "i1"), ("POST", "incidents/i1/acknowledge", {}), "Acknowledged."),
        (("resolve", "i1"), ("POST", "incidents/i1/resolve", {}), "Resolved."),
        (
            ("silence", "i1", "--for", "2h", "--reason", "known"),
            ("POST", "incidents/i1/silence", {"for": "2h", "reason": "known"}),
            "tidegate alerts windows end q1",
        ),
        (("test",), ("POST", "test", {}), "there is no routing key"),
        (("windows", "ls"), ("GET", "windows", None), "No silence and no maintenance window."),
        (("windows", "end", "q1"), ("DELETE", "windows/q1", None), "Ended."),
        (
            ("windows", "add", "--for", "1h", "--subject", "shop/*"),
            ("POST", "windows", {"for": "1h", "rule": "*", "subject": "shop/*", "reason": ""}),
            "until 2026-01-01 04:00:00 UTC",
        ),
        (("runbook", "lag"), ("GET", "runbooks/lag", None), "# Lag"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) and isinstance(each[-1], str) else "",
)
def test_a_command_asks_for(asked: Asked, words: tuple[str, ...], request_: tuple[str, str, Any], told: str) -> None:
    done = asked[1](*words)
    assert done.exit_code == 0, done.output
    assert asked[0] == [request_]
    assert told in done.output


def test_what_is_not_there_ends_with_2_and_a_sentence(asked: Asked) -> None:
    done = asked[1]("ack", "nobody")
    assert (done.exit_code, done.stderr) == (2, "tidegate: there is no incident 'nobody'\n")
