"""Which days are made anew, how far are they, and what would a further backfill do? `operate_backfills.js` fills it in.

Launched in two steps: the form asks for a plan, and the dialog of operations shows it and takes the typed confirmation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dash_app.pages.elements import data, no_such_stream
from dash_app.pages.operations import operations_table, worker_said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition


def backfills_page(streams: Mapping[str, StreamDefinition], name: str | None) -> Component:
    """Backfills of every stream, or of one."""
    if name is not None and name not in streams:
        return no_such_stream(streams, name)
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Backfills"),
                    html.P("Days of a stream made anew by today's definition, while live goes on.", className="quiet"),
                ]
            ),
            html.Section(
                [
                    html.Div(
                        [html.H2("Backfills"), html.Code("tidegate operations ls --kind backfill", className="quiet")],
                        className="card-head",
                    ),
                    worker_said(),
                    operations_table("backfill", name or ""),
                ],
                className="card",
            ),
        ],
        **data(topics="overview operations"),
    )
