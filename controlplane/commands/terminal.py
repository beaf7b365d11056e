"""What do all commands have in common? Where the platform is, how an answer is printed, and how one ends that can't."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from controlplane.contract.settings import Settings
from controlplane.up.running import NotRunningError, Running, read_running

EXIT_NOT_RUNNING = 10
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the platform.  [default: .tidegate]")]
Output = Annotated[str, typer.Option("-o", "--output", help="text or json")]


def fail(message: str, code: int) -> NoReturn:
    """Say why on stderr, and end."""
    typer.echo(f"tidegate: {message}", err=True)
    sys.exit(code)


def running_in(data: Path | None) -> Running:
    """The platform that runs in a folder; ends the command where none does."""
    try:
        return read_running(data or Settings().data)
    except NotRunningError as error:
        fail(str(error), EXIT_NOT_RUNNING)
