"""`tidegate audit`: who did what to what, and is the record as it was written?"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path  # noqa: TC003 (typer reads the annotation)
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.terminal import Data, fail
from controlplane.contract.audit import PATH, AuditEntry
from controlplane.service.audit.chain import judged

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(no_args_is_help=True, help="The record of who did what: search it, verify its chain, export it.")
Form = Annotated[str, typer.Option("-o", "--output", help="table or json")]
_BROKEN = 1
_PAGE = 1000
_WALK_WITHIN_S = 600.0


@app.command()
def ls(  # noqa: PLR0913 (each is a filter)
    actor: Annotated[str | None, typer.Option(help="Who; `anonymous` is nobody who was signed in.")] = None,
    action: Annotated[str | None, typer.Option(help="What, such as operation.confirm or operation.*")] = None,
    subject: Annotated[str | None, typer.Option(help="Of what.")] = None,
    stream: Annotated[str | None, typer.Option(help="Of a stream.")] = None,
    outcome: Annotated[str | None, typer.Option(help="ok, refused or failed.")] = None,
    since: Annotated[str | None, typer.Option(help="Not before: ISO 8601 with its zone.")] = None,
    until: Annotated[str | None, typer.Option(help="Before.")] = None,
    text: Annotated[str | None, typer.Option(help="Somewhere in an entry's words.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="So many, the newest.")] = 50,
    data: Data = None,
    output: Form = "table",
) -> None:
    """Entries, the newest first."""
    given = {
        "actor": actor,
        "action": action,
        "subject": subject,
        "stream": stream,
        "outcome": outcome,
        "since": since,
        "until": until,
        "text": text,
        "limit": limit,
    }
    query = urlencode({name: value for name, value in given.items() if value is not None})
    page = asked(data, "GET", f"{PATH}?{query}")
    if output == "json":
        typer.echo(json.dumps(page["items"], indent=2))
        return
    table = Table("entry", "at (UTC)", "who", "what", "of what", "stream", "outcome", "reason", box=None)
    for each in map(AuditEntry.model_validate, page["items"]):
        cells = (f"{each.actor} ({each.by})", each.action, each.subject, each.stream, each.outcome, each.reason)
        table.add_row(str(each.seq), f"{each.at:%Y-%m-%d %H:%M:%S}", *("-" if cell is None else cell for cell in cells))
    Console().print(table)
    if page["next"]:
        typer.echo("There are more: narrow it down, or use --limit.")


@app.command()
def show(
    seq: Annotated[int, typer.Argument(min=1, help="Number of an entry.")], data: Data = None, output: Form = "table"
) -> None:
    """One entry whole, with its hash and the one before."""
    entry = asked(data, "GET", f"{PATH}/{seq}")
    if output == "json":
        typer.echo(json.dumps(entry, indent=2))
        return
    table = Table(box=None, show_header=False)
    for name, value in entry.items():
        written = json.dumps(value, indent=2) if isinstance(value, dict) else "-" if value is None else str(value)
        table.add_row(name, written)
    Console().print(table)


@app.command()
def verify(
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An exported file, instead of the platform's record."),
    ] = None,
    data: Data = None,
    output: Form = "table",
) -> None:
    """Walk the chain of hashes, beside the copy in Kafka; names the first entry that is wrong. Exit code 1 when one is."""
    if file is None:
        chain = asked(data, "GET", f"{PATH}/chain?fresh=true", timeout_s=_WALK_WITHIN_S)
        verdict = chain["verdict"]
    else:
        verdict = judged(_entries_in(file), None).model_dump(mode="json") | {"copy_reason": "a file was verified alone"}
        chain = {"verdict": verdict}
    typer.echo(json.dumps(chain, indent=2) if output == "json" else _told(verdict))
    sys.exit(0 if verdict["holds"] else _BROKEN)


@app.command()
def export(
    file: Annotated[Path | None, typer.Option(help="Where to; stdout without it.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only entries behind this one.")] = 0,
    data: Data = None,
) -> None:
    """Every entry as a line of JSON, the oldest first: to keep elsewhere, and to verify there."""
    count, last = 0, after
    with nullcontext(sys.stdout) if file is None else file.open("w") as out:
        for entry in _pages(data, after):
            out.write(f"{json.dumps(entry, ensure_ascii=False)}\n")
            count, last = count + 1, entry["seq"]
    typer.echo(f"{count:,} entries, up to {last}", err=True)


def _pages(data: Path | None, after: int) -> Iterator[dict[str, Any]]:
    while page := asked(data, "GET", f"{PATH}?after={after}&limit={_PAGE}")["items"]:
        yield from page
        after = page[-1]["seq"]


def _entries_in(file: Path) -> Iterator[AuditEntry]:
    with file.open() as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield AuditEntry.model_validate_json(line)
            except ValidationError as error:
                fail(f"{file}:{number}: is no entry: {error.errors(include_url=False)[0]['msg']}", MISTAKEN)


def _told(verdict: dict[str, Any]) -> str:
    copied = verdict["copied"]
    copy = f"not held against Kafka: {verdict['copy_reason']}" if copied is None else f"{copied:,} held against Kafka"
    if verdict["holds"]:
        return f"The chain holds: {verdict['entries']:,} entries, the last with hash {verdict['hash']} ({copy})."
    right = f"{verdict['entries']:,} entries before it are right ({copy})."
    return f"The record is NOT as it was written: {verdict['reason']}. {right}"
