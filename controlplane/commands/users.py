"""`tidegate users`: who may sign in, and what may they? Whoever owns the data folder may say it; elsewhere an admin."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.credentials import local
from controlplane.commands.terminal import Data, Output, fail, running_in
from controlplane.contract.access import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controlplane.contract.settings import Settings

PATH = "/api/v1/users"
app = typer.Typer(no_args_is_help=True, help="Users of the console and the API, their roles, links and tokens.")
Name = Annotated[str, typer.Argument(help="Of the user.")]
Grants = Annotated[
    list[str],
    typer.Argument(
        help="Roles (producer, viewer, operator, approver, admin), each of every stream or, as role@stream, of one."
    ),
]


def grants_of(words: Sequence[str]) -> list[dict[str, Any]]:
    """Of `operator`, `viewer@shop`, `operator@shop,flights`; ends the command when one is none."""
    found = []
    for word in words:
        role, _, streams = word.partition("@")
        if role not in tuple(Role) or (not streams and "@" in word):
            fail(f"{word!r} is no role: give {', '.join(Role)}, or such as operator@shop", MISTAKEN)
        found.append({"role": role, "streams": [each for each in streams.split(",") if each] or ["*"]})
    return found


def address_to_open(settings: Settings) -> str:
    """The console's address; at a first start with the link that makes the first admin."""
    try:
        ways = httpx.get(f"{settings.api}/api/v1/session/ways", timeout=10)
        if not ways.is_success or ways.json()["has_users"]:
            return settings.console
        answer = httpx.post(f"{settings.api}{PATH}/first-link", headers=local(settings.data), timeout=10)
    except httpx.HTTPError:
        return settings.console
    return _link(settings.console, answer.json()["once"]) if answer.is_success else settings.console


@app.command()
def ls(data: Data = None, output: Output = "text") -> None:
    """Each user: roles, streams, whether they have signed in, and when last."""
    found = asked(data, "GET", PATH)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    if not found:
        typer.echo("There is no user yet: `tidegate users add NAME admin` makes one.")
        return
    table = Table("user", "may", "state", "seen", "made by", box=None)
    for each in found:
        table.add_row(each["name"], _words(each["grants"]), _state(each), _seen(each["seen_at"]), each["made_by"])
    Console().print(table)


@app.command()
def add(name: Name, grants: Grants, data: Data = None) -> None:
    """Add a user, and print the link by which they sign in first."""
    made = asked(data, "POST", PATH, {"name": name, "grants": grants_of(grants)})
    _tell(data, name, made["once"])


@app.command()
def grant(name: Name, grants: Grants, data: Data = None) -> None:
    """Give a user these roles instead of those that they have; it counts from their next request on."""
    changed = asked(data, "PUT", f"{PATH}/{quote(name, safe='')}/grants", {"grants": grants_of(grants)})
    typer.echo(f"{name} is {_words(changed['grants'])}.")


@app.command()
def link(name: Name, data: Data = None) -> None:
    """Print a one-time link by which a user sets a new password and signs in."""
    _tell(data, name, asked(data, "POST", f"{PATH}/{quote(name, safe='')}/link")["once"])


@app.command()
def tokens(name: Name, data: Data = None, output: Output = "text") -> None:
    """A user's API tokens: what for, until when, last used."""
    found = asked(data, "GET", f"{PATH}/{quote(name, safe='')}/tokens")
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("token", "title", "made", "until", "seen", "state", box=None)
    for each in found:
        until = "it is revoked" if each["expires_at"] is None else _seen(each["expires_at"])
        state = "holds" if each["revoked_at"] is None else f"revoked {_seen(each['revoked_at'])}"
        table.add_row(each["id"], each["title"], _seen(each["made_at"]), until, _seen(each["seen_at"]), state)
    Console().print(table)


@app.command()
def revoke(token: Annotated[str, typer.Argument(help="Its id.")], data: Data = None) -> None:
    """Take a token back: what uses it is refused from now on."""
    asked(data, "DELETE", f"/api/v1/tokens/{quote(token, safe='')}")
    typer.echo(f"Token {token} is revoked.")


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Of the program, such as checkout; it becomes a user that only sends.")],
    streams: Annotated[str, typer.Option(help="Streams that it may send to, by commas; *: every one.")] = "*",
    lasts: Annotated[
        str | None, typer.Option("--for", help="Until when, such as 90d; without it until revoked.")
    ] = None,
    title: Annotated[str, typer.Option(help="What for.")] = "",
    data: Data = None,
) -> None:
    """Make a key by which a program sends events to the collector, and print it: once."""
    wanted = {"name": name, "streams": [each for each in streams.split(",") if each], "title": title, "for": lasts}
    made = asked(data, "POST", f"{PATH}/keys", wanted)
    typer.echo(made["token"])
    typer.echo(f"It is not shown again; `tidegate users revoke {made['id']}` takes it back.", err=True)


@app.command()
def disable(name: Name, data: Data = None) -> None:
    """Let a user in no more: their sessions and tokens end at once."""
    asked(data, "POST", f"{PATH}/{quote(name, safe='')}/disable")
    typer.echo(f"{name} may not sign in any more; `tidegate users enable {name}` takes that back.")


@app.command()
def enable(name: Name, data: Data = None) -> None:
    """Let a user in again."""
    asked(data, "POST", f"{PATH}/{quote(name, safe='')}/enable")
    typer.echo(f"{name} may sign in again.")


def _tell(data: Path | None, name: str, once: str) -> None:
    console = running_in(data).environment["TIDEGATE_CONSOLE"]
    typer.echo(f"{name} signs in by this link, once, within 24 hours:\n{_link(console, once)}")


def _link(console: str, once: str) -> str:
    return f"{console.rstrip('/')}/sign-in?once={once}"


def _words(grants: Sequence[dict[str, Any]]) -> str:
    return ", ".join(
        each["role"] if each["streams"] == ["*"] else f"{each['role']}@{','.join(each['streams'])}" for each in grants
    )


def _state(user: dict[str, Any]) -> str:
    if user["is_disabled"]:
        return "disabled"
    if user["is_external"]:
        return "signs in at a provider"
    return "has a password" if user["has_password"] else "has not signed in"


def _seen(moment: str | None) -> str:
    return "never" if moment is None else f"{moment[:16].replace('T', ' ')} UTC"
