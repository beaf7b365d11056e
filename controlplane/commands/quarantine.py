"""`tidegate quarantine`: what was turned away and why, and how it is replayed with fixes, or discarded."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.commands.credentials import control_plane
from controlplane.commands.quarantine_words import attempt_line, tell_groups, tell_records, tell_work
from controlplane.commands.terminal import EXIT_NOT_RUNNING, Data, Output, fail
from controlplane.contract.fix_steps import STEP_FORMS, parse_step
from controlplane.contract.replays import Action, Judged, Selection, Work, WorkAsked, WorkState

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.fix_steps import FixStep

app = typer.Typer(no_args_is_help=True, help="Records that were turned away: ls, show, replay, discard.")
replay_app = typer.Typer(no_args_is_help=True, help="Replay records with fixes: plan, run, status, cancel.")
app.add_typer(replay_app, name="replay")
_FAILED, _MISTAKEN = 1, 2
_TIMEOUT_S = 30.0
_POLL_S = 0.3
_EXITS = {int(httpx.codes.SERVICE_UNAVAILABLE): EXIT_NOT_RUNNING, int(httpx.codes.CONFLICT): _FAILED}
_ENDED = (WorkState.DONE, WorkState.CANCELLED, WorkState.FAILED)

Stream = Annotated[str, typer.Argument(help="A stream's name.")]
Reason = Annotated[str | None, typer.Option(help="Only of this reason, such as rule_broken.")]
Rule = Annotated[str | None, typer.Option(help="Only those that broke this rule.")]
Rules = Annotated[str | None, typer.Option(help="Only those that broke exactly these, comma-separated.")]
OfHop = Annotated[str | None, typer.Option("--hop", help="dead or quarantine.")]
SchemaId = Annotated[int | None, typer.Option(help="Only those written with this schema.")]
Since = Annotated[str | None, typer.Option(help="Turned away since: ISO 8601 with a zone.")]
Until = Annotated[str | None, typer.Option(help="Turned away before: ISO 8601 with a zone.")]
Text = Annotated[str | None, typer.Option(help="Somewhere in the payload.")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="Only this record; may be given again.")]
StatusOf = Annotated[str | None, typer.Option("--status", help="waiting, replayed or discarded.")]
Fix = Annotated[list[str] | None, typer.Option("--fix", help=f"A fix step: {'; '.join(STEP_FORMS)}. In this order.")]
Broken = Annotated[bool, typer.Option("--even-if-broken", help="Also what today's rules would turn away again.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only plan: judge all of it, do nothing.")]
Rate = Annotated[float | None, typer.Option(min=0.001, help="Records a second, at most.")]
WorkId = Annotated[str, typer.Argument(metavar="ID", help="A replay's id, as `plan` gives it.")]


@app.command()
def ls(  # noqa: PLR0913 (each is an option of the command)
    stream: Annotated[str | None, typer.Argument(help="A stream's name; every stream when not given.")] = None,
    reason: Reason = None,
    rule: Rule = None,
    rules: Rules = None,
    hop: OfHop = None,
    schema_id: SchemaId = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    status: StatusOf = None,
    records: Annotated[bool, typer.Option("--records", help="The records, not their groups.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Records at most.")] = 50,
    data: Data = None,
    output: Output = "text",
) -> None:
    """What was turned away, by reason and rule; with --records the newest records."""
    chosen = _selection(reason=reason, rule=rule, rules=rules, hop=hop, schema_id=schema_id, since=since, until=until,
                        text=text, status=status)  # fmt: skip
    given = chosen.model_dump(mode="json", exclude_defaults=True)
    names = [stream] if stream is not None else [each["stream"] for each in _ask(data, "streams")]
    what = "records" if records else "groups"
    answers = [(name, _ask(data, f"streams/{name}/{what}", params={**given, "limit": limit})) for name in names]
    if output == "json":
        typer.echo(json.dumps([{"stream": name, **answer} for name, answer in answers], indent=2))
        return
    tell = tell_records if records else tell_groups
    tell(answers)


@app.command()
def show(
    stream: Stream,
    record: Annotated[str, typer.Argument(metavar="ID", help="A record's id, such as dead:0:17.")],
    data: Data = None,
    output: Output = "text",
) -> None:
    """One record: where it came from, its payload as far as it can be decoded, and its history."""
    found = _ask(data, f"streams/{stream}/records/{record}")
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    payload = found["payload"]
    for name in ("id", "status", "reason", "rules", "schema_id", "seen_at", "rejected_at", "suite", "key", "bytes"):
        typer.echo(f"{name}: {'-' if found[name] in (None, '') else found[name]}")
    typer.echo(f"source: {found['tg_partition']}:{found['tg_offset']}")
    typer.echo(f"payload ({payload['how']}): {payload['json'] or payload['text'] or ''}")
    if payload["rest_bytes"]:
        typer.echo(f"then {payload['rest_bytes']} bytes: {payload['rest_hex'][:200]}")
    if payload["why"]:
        typer.echo(f"why: {payload['why']}")
    for attempt in found["history"]:
        typer.echo(attempt_line(attempt))


@replay_app.command()
def plan(  # noqa: PLR0913 (each is an option of the command)
    stream: Stream,
    fix: Fix = None,
    ids: Ids = None,
    reason: Reason = None,
    rule: Rule = None,
    rules: Rules = None,
    hop: OfHop = None,
    schema_id: SchemaId = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    even_if_broken: Broken = False,
    data: Data = None,
    output: Output = "text",
) -> None:
    """Which records would be replayed as what, judged by today's rules; nothing is done. Exit code 1 when none is ready."""
    chosen = _selection(ids=tuple(ids or ()), reason=reason, rule=rule, rules=rules, hop=hop, schema_id=schema_id, since=since,
                        until=until, text=text)  # fmt: skip
    asked = WorkAsked(selection=chosen, steps=_steps(fix), even_if_broken=even_if_broken)
    work = _planned(data, stream, asked)
    tell_work(work, output)
    sys.exit(0 if work.counts.get(Judged.READY) else _FAILED)


@replay_app.command()
def run(
    work_id: WorkId,
    rate: Rate = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for its end.")] = False,
    yes: Yes = False,
    data: Data = None,
    output: Output = "text",
) -> None:
    """Do what was planned; progress goes to stderr. Exit code 1 when it did not end well."""
    work = _work(data, work_id)
    _sure(work, yes=yes)
    _finish(data, work, rate, output, detach=detach)


@replay_app.command()
def status(
    work_id: Annotated[str | None, typer.Argument(metavar="ID", help="All when not given.")] = None,
    data: Data = None,
    output: Output = "text",
) -> None:
    """How far replays and discards are."""
    if work_id is not None:
        tell_work(_work(data, work_id), output)
        return
    found = _ask(data, "replays")
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("id", "stream", "what", "state", "records", "done", "skipped", "asked at", "reason", box=None)
    for each in found:
        cells = (each["id"], each["stream"], each["asked"]["action"], each["state"], each["records"], each["done"],
                 each["skipped"], each["at"], each["reason"])  # fmt: skip
        table.add_row(*("-" if cell is None else str(cell) for cell in cells))
    Console().print(table)


@replay_app.command()
def cancel(work_id: WorkId, data: Data = None, output: Output = "text") -> None:
    """Do no more of it; what was done stays done."""
    tell_work(Work.model_validate(_ask(data, f"replays/{work_id}/cancel", body={})), output)


@app.command()
def discard(  # noqa: PLR0913 (each is an option of the command)
    stream: Stream,
    why: Annotated[str, typer.Option(help="The reason; kept with each record.")],
    ids: Ids = None,
    reason: Reason = None,
    rule: Rule = None,
    rules: Rules = None,
    hop: OfHop = None,
    schema_id: SchemaId = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = None,
    output: Output = "text",
) -> None:
    """Take records out of the inbox for good; the lake keeps them."""
    chosen = _selection(ids=tuple(ids or ()), reason=reason, rule=rule, rules=rules, hop=hop, schema_id=schema_id, since=since,
                        until=until, text=text)  # fmt: skip
    work = _planned(data, stream, WorkAsked(action=Action.DISCARD, selection=chosen, why=why))
    if dry_run:
        tell_work(work, output)
        return
    _sure(work, yes=yes)
    _finish(data, work, None, output, detach=False)


def _selection(**given: Any) -> Selection:  # noqa: ANN401 (options as typed)
    try:
        return Selection.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        fail(f"--{'-'.join(map(str, first['loc']))}: {first['msg']}", _MISTAKEN)


def _steps(texts: list[str] | None) -> tuple[FixStep, ...]:
    try:
        return tuple(map(parse_step, texts or ()))
    except ValueError as error:
        fail(f"--fix {error}", _MISTAKEN)


def _planned(data: Path | None, stream: str, asked: WorkAsked) -> Work:
    body = asked.model_dump(mode="json")
    work = Work.model_validate(_ask(data, f"streams/{stream}/replays", body=body))
    while work.state is WorkState.PLANNING:
        time.sleep(_POLL_S)
        work = _work(data, work.id)
    if work.state is WorkState.FAILED:
        fail(f"it could not be planned: {work.reason}", _FAILED)
    return work


def _work(data: Path | None, work_id: str) -> Work:
    return Work.model_validate(_ask(data, f"replays/{work_id}"))


def _sure(work: Work, *, yes: bool) -> None:
    ready = work.counts.get(Judged.READY, 0)
    if work.asked.even_if_broken:
        ready += work.counts.get(Judged.BROKEN, 0)
    word = "discarded" if work.asked.action is Action.DISCARD else f"sent to {work.stream}.raw"
    if not yes and not typer.confirm(f"{ready:,} of {work.records:,} records are to be {word}. Go on?", err=True):
        fail("nothing was done", _FAILED)


def _finish(data: Path | None, work: Work, rate: float | None, output: str, *, detach: bool) -> None:
    work = Work.model_validate(_ask(data, f"replays/{work.id}/run", body={"rate": rate}))
    said = -1
    while not detach and work.state not in _ENDED:
        if work.done != said:
            said = work.done
            typer.echo(f"{work.done:,} of {work.records:,}", err=True)
        time.sleep(_POLL_S)
        work = _work(data, work.id)
    tell_work(work, output)
    sys.exit(0 if detach or work.state is WorkState.DONE else _FAILED)


def _ask(data: Path | None, path: str, *, params: dict[str, Any] | None = None, body: Any = None) -> Any:  # noqa: ANN401 (JSON)
    """The answer of the running platform; what it refuses ends the command with its sentence."""
    api, headers = control_plane(data)
    url = f"{api}/api/v1/quarantine/{path}"
    method = "GET" if body is None else "POST"
    try:
        answer = httpx.request(method, url, params=params, json=body, headers=headers, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        fail(f"the control plane at {url} does not answer: {error}", EXIT_NOT_RUNNING)
    if not answer.is_success:
        fail(_said(answer), _EXITS.get(answer.status_code, _MISTAKEN))
    return answer.json()


def _said(answer: httpx.Response) -> str:
    is_json = "json" in answer.headers.get("content-type", "")
    return str(answer.json().get("detail", answer.text) if is_json else answer.text)
