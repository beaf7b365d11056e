"""`tidegate alerts`: what is wrong, who knows of it, and is PagerDuty told?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.credentials import control_plane
from controlplane.commands.terminal import EXIT_NOT_RUNNING, Data, Output, fail

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(no_args_is_help=True, help="Incidents: list, show, acknowledge, silence, windows, test page.")
windows_app = typer.Typer(no_args_is_help=True, help="Silences and maintenance windows: ls, add, end.")
app.add_typer(windows_app, name="windows")
Id = Annotated[str, typer.Argument(metavar="ID", help="An incident's id, as `ls` gives it.")]
For = Annotated[str, typer.Option("--for", help="How long, such as 30m.")]
Reason = Annotated[str, typer.Option(help="Why; shown with it.")]
_MISTAKEN = 2
_REFUSED_FROM = 400
_PAGERDUTY_AWAY = "it has not taken {waiting} of the events: {reason}"


@app.command()
def ls(
    past: Annotated[bool, typer.Option("--past", help="Those that are over.")] = False,  # noqa: FBT002 (a flag)
    data: Data = None,
    output: Output = "text",
) -> None:
    """Open incidents, the newest first. Exit code 1 when one is critical."""
    found = _ask(data, "GET", "incidents")
    chosen = found["past" if past else "open"]
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        table = _table("id", "severity", "rule", "subject", "since", "state", "reason")
        for each in chosen:
            table.add_row(
                *(each[name] for name in ("id", "severity", "rule", "subject")), _moment(each["opened_at"]), _state(each),
                each["reason"],
            )  # fmt: skip
        Console().print(table if chosen else "No incident is open." if not past else "No incident yet.")
        typer.echo(_told(found["delivery"]))
    sys.exit(1 if not past and any(each["severity"] == "critical" for each in chosen) else 0)


@app.command()
def show(incident: Id, data: Data = None, output: Output = "text") -> None:
    """One incident: what happened to it, and what was sent."""
    found = _ask(data, "GET", f"incidents/{incident}")
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"{found['title']}: {found['subject']} {found['reason']}")
    typer.echo(f"{found['severity']}, since {_moment(found['opened_at'])}, {_state(found)}")
    typer.echo(f"runbook: tidegate alerts runbook {found['rule']}\n")
    for each in found["timeline"]:
        by = "" if each["by"] is None else f" by {each['by']}"
        typer.echo(f"  {_moment(each['at'])}  {each['what']}{by}{': ' if each['text'] else ''}{each['text']}")
    for each in found["deliveries"]:
        said = f": {each['said']}" if each["said"] else ""
        typer.echo(f"  PagerDuty: {each['action']} {each['state']}, {each['attempts']} attempts{said}")


@app.command()
def ack(incident: Id, data: Data = None) -> None:
    """Say that you work on it: nobody else is woken."""
    _ask(data, "POST", f"incidents/{incident}/acknowledge", {})
    typer.echo("Acknowledged.")


@app.command()
def resolve(incident: Id, data: Data = None) -> None:
    """Close an incident of whose cause nothing is known any more."""
    _ask(data, "POST", f"incidents/{incident}/resolve", {})
    typer.echo("Resolved.")


@app.command()
def silence(incident: Id, duration: For = "1h", reason: Reason = "", data: Data = None) -> None:
    """Wake nobody by this cause for so long."""
    said = {"for": duration, "reason": reason}
    made = _ask(data, "POST", f"incidents/{incident}/silence", said)
    typer.echo(f"Silenced until {_moment(made['end'])}; `tidegate alerts windows end {made['id']}` ends it.")


@app.command(name="test")
def try_page(data: Data = None) -> None:
    """Send a test page: a trigger and a resolve of severity info."""
    made = _ask(data, "POST", "test", {})
    where = "to PagerDuty" if made["pages"] else "to nobody: there is no routing key (TIDEGATE_PAGERDUTY_ROUTING_KEY)"
    typer.echo(f"Sent {where}; `tidegate alerts show {made['id']}` shows what came of it.")


@app.command()
def runbook(rule: Annotated[str, typer.Argument(help="A rule's name, such as lag.")], data: Data = None) -> None:
    """What to do about a rule's incidents."""
    typer.echo(_request(data, "GET", f"runbooks/{rule}", None).text)


@windows_app.command(name="ls")
def windows_ls(data: Data = None, output: Output = "text") -> None:
    """Those that have not ended."""
    found = _ask(data, "GET", "windows")
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    table = _table("id", "kind", "from", "until", "rule", "subject", "by", "reason")
    for each in found:
        moments = (_moment(each["start"]), _moment(each["end"]))
        table.add_row(each["id"], each["kind"], *moments, *(each[name] for name in ("rule", "subject", "by", "reason")))
    Console().print(table if found else "No silence and no maintenance window.")


@windows_app.command(name="add")
def windows_add(  # noqa: PLR0913 (each is an option of the command)
    duration: For,
    start: Annotated[str | None, typer.Option("--from", help="ISO 8601 with a zone.  [default: now]")] = None,
    rule: Annotated[str, typer.Option(help="Shell pattern of rules.")] = "*",
    subject: Annotated[str, typer.Option(help="Shell pattern of subjects, such as 'shop/*'.")] = "*",
    reason: Reason = "",
    data: Data = None,
) -> None:
    """Plan work: what matches opens and resolves, and wakes nobody."""
    said = {"for": duration, "rule": rule, "subject": subject, "reason": reason}
    made = _ask(data, "POST", "windows", {**said, **({} if start is None else {"start": start})})
    typer.echo(f"From {_moment(made['start'])} until {_moment(made['end'])}: {made['id']}")


@windows_app.command(name="end")
def windows_end(window: Annotated[str, typer.Argument(metavar="ID", help="Its id.")], data: Data = None) -> None:
    """End a silence or a window now."""
    _ask(data, "DELETE", f"windows/{window}")
    typer.echo("Ended.")


def _table(*columns: str) -> Table:
    """Its first column is what other commands take: it is never shortened."""
    table = Table(box=None)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    return table


def _told(delivery: dict[str, Any]) -> str:
    if not delivery["pages"]:
        return "PagerDuty is not told: there is no routing key (TIDEGATE_PAGERDUTY_ROUTING_KEY)."
    waits = "" if delivery["reason"] is None else f"; {_PAGERDUTY_AWAY.format(**delivery)}"
    refused = "" if not delivery["refused"] else f"; {delivery['refused']} were refused in the last day"
    return f"PagerDuty is told{waits}{refused}."


def _state(incident: dict[str, Any]) -> str:
    if incident["resolved_at"] is not None:
        return f"resolved {_moment(incident['resolved_at'])}"
    if incident["acknowledged_by"] is not None:
        return f"acknowledged by {incident['acknowledged_by']}"
    if incident["paged_at"] is None:
        return f"not paged: {incident['held_by'] or 'well again'}"
    return {"well": "well again, not for long enough", "unknown": "unknown now"}.get(incident["condition"], "paged")


def _moment(written: str) -> str:
    return f"{written[:19].replace('T', ' ')} UTC"


def _ask(data: Path | None, method: str, path: str, said: object = None) -> Any:  # noqa: ANN401 (JSON)
    return _request(data, method, path, said).json()


def _request(data: Path | None, method: str, path: str, said: object) -> httpx.Response:
    api, headers = control_plane(data)
    url = f"{api}/api/v1/alerts/{path}"
    try:
        answer = httpx.request(method, url, json=said, headers=headers, timeout=10)
    except httpx.HTTPError as error:
        fail(f"the control plane at {url} does not answer: {error}", EXIT_NOT_RUNNING)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        fail(_detail(answer), EXIT_NOT_RUNNING)
    if answer.status_code >= _REFUSED_FROM:
        fail(_detail(answer), _MISTAKEN)
    return answer


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
