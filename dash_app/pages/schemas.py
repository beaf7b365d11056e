"""What do the schemas look like? For each stream: its versions, who is on them, and a box to try the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from dash_app.pages.elements import copied, data, no_such_stream, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

_HINT = '{"type": "record", "name": "...", "fields": [...]}'


def schemas_page(streams: Mapping[str, StreamDefinition], name: str | None) -> Component:
    """Every stream's schemas, or one's."""
    if name is not None and name not in streams:
        return no_such_stream(streams, name)
    shown = streams if name is None else {name: streams[name]}
    others: list[Any] = [] if name is None else [" ", dcc.Link("All schemas", href="/schemas", className="more")]
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Schemas"),
                    copied("tidegate schema ls"),
                    html.P(
                        [
                            "Which versions are there, what changed from one to the next, and who writes and reads which?",
                            *others,
                        ],
                        className="quiet",
                    ),
                ]
            ),
            *(schema_card(stream) for stream in shown.values()),
        ],
        **data(topics="overview"),
    )


def schema_card(stream: StreamDefinition) -> Component:
    """One stream's subjects, drawn by `schemas.js`."""
    name = stream.name
    return html.Section(
        [
            html.Div(
                [
                    html.H2(dcc.Link(stream.title, href=f"/schemas/{name}")),
                    html.Code(name, className="quiet"),
                    html.Span(className="quiet", **data(schemas_age=name)),
                    html.Div([unknown("badge", schemas_mode=name)], className="verdict"),
                ],
                className="card-head",
            ),
            html.P("Asking the registry ...", className="quiet asking", role="status", **data(schemas_reason=name)),
            html.Div(**data(schemas_versions=name)),
            html.Details(
                [
                    html.Summary("What route writes", **data(schemas_valid_title=name)),
                    html.Div(**data(schemas_valid=name)),
                ],
                className="subject",
                **data(kept=f"{name}-valid"),
            ),
            candidate(name),
        ],
        className="card schemas",
        id=f"schemas-{name}",
        **data(schemas=name),
    )


def candidate(name: str) -> Component:
    """Paste the next version: would it be taken?"""
    written: dict[str, Any] = {
        "aria-label": f"The next version of {name}'s schema, as Avro JSON",
        **data(schemas_text=name),
    }
    return html.Details(
        [
            html.Summary("Try the next version"),
            html.Textarea(spellCheck="false", rows=12, placeholder=_HINT, **written),
            html.Div(
                [
                    html.Button(
                        "Check",
                        type="button",
                        className="copy",
                        **data(schemas_ask="check", stream=name, needs="plan", needs_stream=name),
                    ),
                    html.Button(
                        "Register",
                        type="button",
                        className="copy",
                        **data(schemas_ask="register", stream=name, needs="approve", needs_stream=name),
                    ),
                    html.Button(
                        "Begin with the newest",
                        type="button",
                        className="copy",
                        **data(schemas_ask="fill", stream=name),
                    ),
                    html.Span(className="cli", **data(schemas_cli=name)),
                ],
                className="asks",
            ),
            html.Div(role="status", className="judged", **{"aria-live": "polite", **data(schemas_judged=name)}),
        ],
        className="candidate",
        **data(kept=f"{name}-next"),
    )
