"""`tidegate send`: lines of JSON to a stream, through the collector. Every mistake is printed with its line."""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import httpx
import typer

from controlplane.commands.asking import MISTAKEN, REFUSED
from controlplane.commands.credentials import control_plane
from controlplane.commands.terminal import EXIT_NOT_RUNNING, Data, fail
from controlplane.contract.access import authorization
from controlplane.contract.settings import Settings
from controlplane.up.running import NotRunningError, read_running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LATER = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
_TIMEOUT_S = 60.0
Lines = list[tuple[int, str]]
"""Line number, from 1, and the line."""


def send(
    stream: Annotated[str, typer.Argument(help="Where to.")],
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A JSON object a line; `-` reads stdin.")],
    batch: Annotated[int, typer.Option(min=1, help="Lines of one request; of one with a mistake none is taken.")] = 500,
    partial: Annotated[bool, typer.Option("--partial", help="Take what fits also of a request with mistakes.")] = False,  # noqa: FBT002
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds for which to try again when the collector takes nothing.")
    ] = 60.0,
    data: Data = None,
) -> None:
    """Send events and print how many Kafka has. Exit code 1 when some have mistakes: each is printed."""
    headers = {**_who(data), "Content-Type": "application/x-ndjson"}
    sender = _Sender(
        f"{_collector(data)}/v1/streams/{quote(stream, safe='')}/events", headers, patience, partial=partial
    )
    taken = mistaken = 0
    for lines in _batches(_read(file), batch):
        answer = sender.post(lines)
        taken += answer.get("taken", 0)
        mistaken += len({each["index"] for each in answer.get("mistakes", ())})
        for each in answer.get("mistakes", ()):
            field = f" {each['path']}:" if each["path"] else ""
            typer.echo(
                f"line {lines[each['index']][0]}:{field} expected {each['expected']}; came {each['came']}", err=True
            )
    left = "" if partial else f", and nothing was taken of the requests that they were in (up to {batch} lines each)"
    typer.echo(f"{taken} events were taken" + (f"; {mistaken} have mistakes{left}" if mistaken else ""))
    sys.exit(REFUSED if mistaken else 0)


class _Sender:
    def __init__(self, url: str, headers: dict[str, str], patience_s: float, *, partial: bool) -> None:
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT_S)
        self._url, self._patience_s = url, patience_s
        self._query = {"partial": "true"} if partial else {}

    def post(self, lines: Lines) -> dict[str, Any]:
        """What the collector answers of them; ends the command if it refuses them for another reason than mistakes."""
        until = time.monotonic() + self._patience_s
        while True:
            answer = self._post(lines)
            said: dict[str, Any] = answer.json()
            if answer.is_success or "mistakes" in said:
                return said
            after_s = float(answer.headers.get("Retry-After", 1))
            if answer.status_code not in _LATER or said.get("kept", False) is not False:
                fail(f"{said['detail']} (from line {lines[0][0]} on)", REFUSED)
            if time.monotonic() + after_s > until:
                fail(f"{said['detail']}; given up after {self._patience_s:.0f} s, from line {lines[0][0]} on", REFUSED)
            time.sleep(after_s)

    def _post(self, lines: Lines) -> httpx.Response:
        try:
            content = "\n".join(line for _, line in lines).encode()
            return self._client.post(self._url, content=content, params=self._query)
        except httpx.HTTPError as error:
            fail(
                f"the collector at {self._url} does not answer ({error or type(error).__name__}), so it is not known whether "
                f"lines {lines[0][0]} to {lines[-1][0]} were taken; nothing behind them was sent",
                EXIT_NOT_RUNNING,
            )


def _who(data: Path | None) -> dict[str, str]:
    """By a key that was given, as a program elsewhere has it; else as commands ask the control plane."""
    given = Settings().token.get_secret_value()
    return authorization(given) if given else control_plane(data)[1]


def _collector(data: Path | None) -> str:
    settings = Settings()
    try:
        return read_running(data or settings.data).environment["TIDEGATE_COLLECTOR"]
    except NotRunningError:
        return settings.collector


def _read(file: str) -> Iterator[tuple[int, str]]:
    try:
        with sys.stdin if file == "-" else Path(file).open(encoding="utf-8") as lines:
            yield from ((number, line.rstrip("\n")) for number, line in enumerate(lines, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {error}", MISTAKEN)


def _batches(lines: Iterable[tuple[int, str]], size: int) -> Iterator[Lines]:
    lines = iter(lines)
    while batch := list(islice(lines, size)):
        yield batch
