"""`tidegate schema`: which versions a stream's schema has, what is different between two, and would another one be taken?"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.terminal import EXIT_NOT_RUNNING, Data, Output, fail, running_in
from controlplane.contract.differences import differences
from controlplane.contract.folders import StreamInvalidError, load_stream, stream_folders
from controlplane.contract.names import Hop, subject
from controlplane.contract.settings import Settings
from controlplane.service.confluent import HttpRegistry
from controlplane.service.registry import NotASchemaError, RegistryAwayError, read_schema
from controlplane.service.schemas import judged, registered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controlplane.contract.changes import Difference
    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.registry import SchemaRegistry, Version
    from controlplane.service.schemas import Adoption, Judged

app = typer.Typer(no_args_is_help=True, help="Schemas of the streams: versions, differences, what would be accepted.")
Stream = Annotated[str, typer.Argument(help="A stream's name.")]
File = Annotated[Path, typer.Argument(help="An Avro record schema as JSON.", exists=True, dir_okay=False)]
Of = Annotated[Hop, typer.Option("--of", help="raw: what producers write; valid: what route writes.")]
_REFUSED, _MISTAKEN = 1, 2
_VALUE = f".{Hop.RAW}-value"


@app.command()
def ls(data: Data = None, output: Output = "text") -> None:
    """Of every stream: versions, their ids, and the compatibility that counts."""
    with _registry(data) as registry:
        names = [name.removesuffix(_VALUE) for name in registry.subjects() if name.endswith(_VALUE)]
        found = [_listed(registry, subject(name, hop)) for name in names for hop in (Hop.RAW, Hop.VALID)]
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("subject", "compatibility", "versions (id)", box=None)
    for each in found:
        versions = ", ".join(f"{one['version']} ({one['id']})" for one in each["versions"])
        table.add_row(each["subject"], each["compatibility"], versions or "none")
    Console().print(table)


@app.command()
def show(
    stream: Stream,
    version: Annotated[int | None, typer.Option(help="Which; the newest when not given.")] = None,
    of: Of = Hop.RAW,
    data: Data = None,
    output: Output = "text",
) -> None:
    """A version's schema, as Avro JSON; with -o json also its id and the compatibility."""
    with _registry(data) as registry:
        found = _version(registry, subject(stream, of), version)
        mode = registry.mode(subject(stream, of))
    if output == "json":
        typer.echo(json.dumps({"subject": subject(stream, of), "compatibility": mode, **found.model_dump()}, indent=2))
        return
    typer.echo(f"{subject(stream, of)} version {found.version}, id {found.id}, {mode}", err=True)
    typer.echo(json.dumps(found.avro, indent=2))


@app.command()
def diff(  # noqa: PLR0913 (each is an option of the command)
    stream: Stream,
    before: Annotated[int, typer.Argument(metavar="A", help="A version.")],
    after: Annotated[int, typer.Argument(metavar="B", help="A later one.")],
    of: Of = Hop.RAW,
    data: Data = None,
    output: Output = "text",
) -> None:
    """What is different from version A to version B, in words."""
    with _registry(data) as registry:
        old, new = (_version(registry, subject(stream, of), each) for each in (before, after))
    found = differences(old.avro, new.avro)
    if output == "json":
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
        return
    typer.echo(_told(found, f"Versions {before} and {after} are the same but for their writing."))


@app.command()
def check(stream: Stream, file: File, data: Data = None, output: Output = "text") -> None:
    """Would the registry accept this schema as the next version? Exit code 1 when it would not."""
    with _registry(data) as registry:
        decision = judged(registry, _known(registry, stream), _read(file))
    _decided(decision, "would be accepted", output)


@app.command()
def register(stream: Stream, file: File, data: Data = None, output: Output = "text") -> None:
    """Make this schema the next version. Exit code 1 when the registry refuses it."""
    with _registry(data) as registry:
        decision = registered(registry, _known(registry, stream), _read(file))
    _decided(decision, f"is registered with id {decision.id}", output)


def _decided(decision: Judged, done: str, output: str) -> None:
    if output == "json":
        typer.echo(json.dumps(decision.model_dump(mode="json"), indent=2))
    else:
        against = "the first version" if decision.against is None else f"different from version {decision.against}:"
        refusal = decision.refusal
        typer.echo(f"{decision.subject} ({decision.mode}): {done if refusal is None else 'refused'}; {against}")
        if decision.against is not None:
            typer.echo(_told(decision.differences, "nothing but its writing"))
        if sentences := _not_adopted(decision.adoption):
            typer.echo("\n".join(["", "Tidegate would not take in all of it:", *(f"  {each}" for each in sentences)]))
        if refusal is not None:
            typer.echo("\n".join(["", "Why not:", *(f"  {each}" for each in refusal.objections)]))
            typer.echo("\n".join(["The registry says:", *(f"  {each}" for each in refusal.registry_says)]))
    sys.exit(0 if decision.accepted else _REFUSED)


def _told(found: Sequence[Difference], nothing: str) -> str:
    return "\n".join(f"  {each.sentence}{_breaks(each)}" for each in found) or f"  {nothing}"


def _breaks(one: Difference) -> str:
    return f"  (breaks {' and '.join(one.breaks)} compatibility)" if one.breaks else ""


def _not_adopted(adoption: Adoption) -> list[str]:
    dead = "its events would become dead letters: they would be read to wrong values"
    return [*adoption.left_out, *([] if adoption.is_read else [dead])]


@contextmanager
def _registry(data: Path | None) -> Iterator[SchemaRegistry]:
    """The registry of a running platform; what it can't say ends the command."""
    try:
        yield _opened(running_in(data).environment["TIDEGATE_REGISTRY"])
    except RegistryAwayError as error:
        fail(str(error), EXIT_NOT_RUNNING)
    except NotASchemaError as error:
        fail(str(error), _MISTAKEN)


def _opened(url: str) -> SchemaRegistry:
    return HttpRegistry(url)


def _listed(registry: SchemaRegistry, name: str) -> dict[str, Any]:
    versions = [{"version": each.version, "id": each.id} for each in registry.versions(name)]
    return {"subject": name, "compatibility": registry.mode(name), "versions": versions}


def _known(registry: SchemaRegistry, stream: str) -> StreamDefinition:
    """A stream that is there: a new one comes with its folder, not with a schema."""
    there = sorted(each.removesuffix(_VALUE) for each in registry.subjects() if each.endswith(_VALUE))
    if stream not in there:
        fail(f"the registry has no stream {stream!r}; there are: {', '.join(there) or 'none'}", _MISTAKEN)
    folder = next((each for each in stream_folders(Settings().stream_roots) if each.name == stream), None)
    if folder is None:
        fail(f"no folder of streams has {stream!r}: name the platform's own in TIDEGATE_STREAMS", _MISTAKEN)
    try:
        return load_stream(folder)
    except StreamInvalidError as error:
        fail("\n".join(map(str, error.problems)), _MISTAKEN)


def _version(registry: SchemaRegistry, name: str, number: int | None) -> Version:
    versions = registry.versions(name)
    found = versions[-1:] if number is None else [each for each in versions if each.version == number]
    if not found:
        there = ", ".join(str(each.version) for each in versions)
        which = "" if number is None else f" version {number}"
        fail(f"{name} has no{which or ' versions'}; there are: {there or 'none'}", _MISTAKEN)
    return found[0]


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_schema(file.read_bytes())
    except NotASchemaError as error:
        fail(f"{file}: {error}", _MISTAKEN)
