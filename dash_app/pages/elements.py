"""What are pages made of? Elements that say by `data-*` what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component


def data(**attributes: str) -> dict[str, Any]:
    """`data-*` attributes; Dash takes them, its type hints do not know them."""
    return {f"data-{key.replace('_', '-')}": value for key, value in attributes.items()}


def unknown(class_name: str, **shown: str) -> Component:
    """A number that has not come yet."""
    return html.Span("unknown", className=f"{class_name} is-unknown", **data(**shown))


def copied(command: str) -> Component:
    """Copies a command of the command line that does or tells the same."""
    return html.Button("Copy as CLI", type="button", className="copy", title=command, **data(copies=command))


def message(title: str, text: str) -> Component:
    """A page that only says something; it is watched for problems as every page."""
    return html.Div([html.H1(title), html.P(text)], **data(topics="overview"))


def no_such_stream(streams: Mapping[str, object], name: str) -> Component:
    """The page of a stream that is not there."""
    return message("No such stream", f"There is no stream {name!r}. There are: {', '.join(streams) or 'none'}.")
