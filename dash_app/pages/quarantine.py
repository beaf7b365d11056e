"""What was turned away, and what can be done with it? Groups, records with what they say, and replays with fixes.

`quarantine.js` shows the inbox, `quarantine_replay.js` plans and runs; both ask the API. The address holds the filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from controlplane.contract.fix_steps import STEP_FORMS
from dash_app.pages.elements import copied, data, no_such_stream
from dash_app.pages.grid import grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition

_GROUPS = (
    ("topic", "dead: could not be decoded; quarantine: decoded, and broke a rule"),
    ("reason", "Why route turned them away"),
    ("rules", "Which rules of the ingest suite they broke"),
    ("waiting", "Nothing was done with them yet"),
    ("replayed", "Sent to the raw topic again"),
    ("discarded", "Taken out of the inbox by an operator; the lake keeps them"),
    ("trend", "How many were turned away, over the chosen time; over all of it when none is chosen"),
    ("first", "The first of them"),
    ("last", "The last of them"),
)
_WORKS = (
    ("id", "Of `tidegate quarantine replay status ID`"),
    ("what", "A replay or a discard"),
    ("state", "How far it is"),
    ("records", "That its selection fits"),
    ("done", "Replayed or discarded by it"),
    ("left", "Left as they are: not ready, or done by another"),
    ("by", "Who asked for it, and when"),
    ("", ""),
)
_STATUSES = (("waiting", "waiting"), ("replayed", "replayed"), ("discarded", "discarded"), ("", "any"))


def quarantine_page(streams: Mapping[str, StreamDefinition], name: str | None) -> Component:
    """Every stream's groups; or one stream's inbox with all that can be done."""
    if name is not None and name not in streams:
        return no_such_stream(streams, name)
    shown = streams if name is None else {name: streams[name]}
    others: list[Any] = [] if name is None else [" ", dcc.Link("All streams", href="/quarantine", className="more")]
    what = "What was turned away and why. It is kept in the lake, can be fixed and replayed, and nothing is replayed twice."
    return html.Div(
        [
            html.Header([html.H1("Quarantine"), html.P([what, *others], className="quiet")]),
            *(_inbox(stream, is_whole=name is not None) for stream in shown.values()),
            *([] if name is None else [_record(name), _replay(name), _works(name)]),
        ],
        **data(topics="overview"),
    )


def _inbox(stream: StreamDefinition, *, is_whole: bool) -> Component:
    """Groups of a stream; with the filter and the records when it is the only one."""
    name = stream.name
    more = (
        [
            html.Div(
                [html.H3("Records"), html.Span(className="quiet", **data(quarantine_count=name))],
                className="section-head",
            ),
            html.Div(grid("quarantine", "Records"), **data(quarantine_records=name)),
            html.Button("More", type="button", className="copy", hidden=True, **data(quarantine_more=name)),
        ]
        if is_whole
        else []
    )
    return html.Section(
        [
            html.Div(
                [
                    html.H2(dcc.Link(stream.title, href=f"/quarantine/{name}")),
                    html.Code(name, className="quiet"),
                    html.Span(className="quiet", **data(quarantine_age=name)),
                    html.Div(
                        [
                            dcc.Link("Quality", href=f"/quality/{name}", className="more quiet"),
                            *([] if is_whole else [copied(f"tidegate quarantine ls {name}")]),
                        ],
                        className="verdict",
                    ),
                ],
                className="card-head",
            ),
            *([_filter(name)] if is_whole else []),
            html.P("Asking ...", className="quiet asking", role="status", **data(quarantine_reason=name)),
            _table(_GROUPS, "groups", name),
            html.Div(**data(quarantine_diverted=name)),
            *more,
        ],
        className="card quarantine",
        id=f"quarantine-{name}",
        **data(quarantine=name, whole="yes" if is_whole else "no"),
    )


def _filter(name: str) -> Component:
    """What is looked at, and what a replay is about."""
    chosen = (
        ("hop", (("dead", "dead"), ("quarantine", "quarantine"), ("", "both"))),
        ("status", _STATUSES),
    )
    return html.Div(
        [
            *(
                html.Div(
                    [
                        html.Button(label, type="button", className="copy", **data(quarantine_choose=what, value=value))
                        for value, label in options
                    ],
                    className="choices",
                )
                for what, options in chosen
            ),
            html.Div(className="fields", **data(quarantine_fields=name)),
            html.Div(**data(quarantine_exact=name)),
            html.Span(className="cli", **data(quarantine_cli=name)),
        ],
        className="filter",
    )


def _table(columns: tuple[tuple[str, str], ...], what: str, name: str) -> Component:
    head = html.Thead(html.Tr([html.Th(title, title=hint) for title, hint in columns]))
    body = html.Tbody(html.Tr(html.Td("Not known yet.", colSpan=len(columns), className="is-unknown")))
    return html.Div(
        html.Table([head, body], className=f"quarantine-{what}", **data(**{f"quarantine_{what}": name})),
        className="scrolls",
    )


def _record(name: str) -> Component:
    """One record, drawn when it is chosen."""
    return html.Section(
        [html.Div(**data(quarantine_record=name))],
        className="card quarantine record-card",
        hidden=True,
        id="quarantine-record",
    )


def _replay(name: str) -> Component:
    """Fix steps, the plan that is made of them, and its run."""
    written: dict[str, Any] = {"aria-label": "Fix steps, one a line", **data(quarantine_steps=name)}
    return html.Section(
        [
            html.Div(
                [html.H2("Replay or discard"), html.Span(className="quiet", **data(quarantine_about=name))],
                className="card-head",
            ),
            html.P(["Fix steps, one a line: ", html.Code("; ".join(STEP_FORMS))], className="quiet"),
            html.Textarea(spellCheck="false", rows=4, placeholder="set country DE", **written),
            html.Div(
                [
                    _button("Plan a replay", "plan", name),
                    html.Label(**data(quarantine_broken=name)),
                    html.Span(**data(quarantine_cli_of="plan")),
                    html.Div(**data(quarantine_why=name)),
                    _button("Plan a discard", "discard", name),
                    html.Span(**data(quarantine_cli_of="discard")),
                ],
                className="asks",
            ),
            html.Div(role="status", **{"aria-live": "polite", **data(quarantine_plan=name)}),
        ],
        className="card quarantine",
        id="quarantine-replay",
    )


def _button(label: str, what: str, stream: str) -> Component:
    return html.Button(
        label, type="button", className="copy", **data(quarantine_ask=what, needs="plan", needs_stream=stream)
    )


def _works(name: str) -> Component:
    """Replays and discards of the stream."""
    return html.Section(
        [html.Div(html.H2("Replays and discards"), className="card-head"), _table(_WORKS, "works", name)],
        className="card quarantine",
    )
