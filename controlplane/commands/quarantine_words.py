"""How do the quarantine commands tell what they were answered?"""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from controlplane.contract.replays import Work, WorkState


def tell_work(work: Work, output: str) -> None:
    """A replay or a discard: what was planned, and how far it is."""
    if output == "json":
        typer.echo(work.model_dump_json(indent=2))
        return
    took = "" if work.took_s is None else f" in {work.took_s} s"
    typer.echo(f"{work.asked.action} {work.id} of {work.stream}: {work.state}{took}")
    typer.echo(f"records: {work.records:,}" + "".join(f", {judged} {count:,}" for judged, count in work.counts.items()))
    if work.done or work.state in (WorkState.RUNNING, WorkState.DONE, WorkState.CANCELLED):
        typer.echo(f"done: {work.done:,}, left as they are: {work.skipped:,}")
    for what, count in work.broken.items():
        typer.echo(f"  {count:,} {what}")
    for each in work.examples:
        typer.echo(f"\n{each.id} {each.judged}{'' if each.why is None else f': {each.why}'}")
        typer.echo(f"  before {each.before}\n  after  {each.after}")
    if work.reason:
        typer.echo(f"reason: {work.reason}")
    if work.state is WorkState.PLANNED:
        typer.echo(f"\ntidegate quarantine replay run {work.id}")


def tell_groups(answers: list[tuple[str, Any]]) -> None:
    """Of each stream its records by reason and rules."""
    table = Table("stream", "topic", "reason", "rules", "waiting", "replayed", "discarded", "first", "last", box=None)
    for name, answer in answers:
        for each in answer["groups"]:
            cells = (name, each["hop"], each["reason"], each["rules"] or "-", each["waiting"], each["replayed"],
                     each["discarded"], each["first_at"][:19], each["last_at"][:19])  # fmt: skip
            table.add_row(*map(str, cells))
    Console().print(table)
    for name, answer in answers:
        if answer["reason"]:
            typer.echo(f"{name}: this may not be all: {answer['reason']}", err=True)


def tell_records(answers: list[tuple[str, Any]]) -> None:
    """Of each stream its records, in a line each."""
    table = Table("stream", "id", "status", "reason", "rules", "schema", "turned away", "source", box=None)
    for name, answer in answers:
        for each in answer["records"]:
            source = f"{each['tg_partition']}:{each['tg_offset']}"
            cells = (name, each["id"], each["status"], each["reason"], each["rules"], each["schema_id"],
                     each["rejected_at"][:23], source)  # fmt: skip
            table.add_row(*("-" if cell in (None, "") else str(cell) for cell in cells))
    Console().print(table)


def attempt_line(attempt: dict[str, Any]) -> str:
    """One try of a record to get through: when and why it was turned away, and what was done then."""
    marker = attempt["marker"]
    line = f"attempt {attempt['attempt']}: {attempt['id']} turned away {attempt['rejected_at']} ({attempt['reason']})"
    if marker is None:
        return f"{line}, waiting"
    what = f"replayed as {marker['raw']}" if marker["raw"] else f"discarded: {marker['why']}"
    return f"{line}, {what} at {marker['at']} by {marker['by'] or 'unknown'} ({marker['replay']})"
