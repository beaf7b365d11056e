"""What would a changed stream folder do to the same history? `trials.js` fills it in, `trials_result.js` draws what a trial found.

A trial is an operation: it is planned, confirmed and followed in the dialog of operations, as its promotion is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from dash_app.pages.elements import copied, data
from dash_app.pages.operations import operations_table, worker_said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dash.development.base_component import Component

    from controlplane.contract.streams import StreamDefinition


def trials_page(streams: Mapping[str, StreamDefinition]) -> Component:
    """Begin one; all that there were."""
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Trials"),
                    copied("tidegate operations ls --kind trial"),
                    html.P(
                        "A changed stream folder against today's, on the same history. No live table is touched.",
                        className="quiet",
                    ),
                ]
            ),
            html.Section(
                [
                    html.Div([html.H2("Try a changed folder")], className="card-head"),
                    html.Div(className="trial-ask", **data(trial_ask=" ".join(streams))),
                ],
                className="card",
            ),
            html.Section(
                [
                    html.Div(
                        [
                            html.H2("Trials and promotions"),
                            html.Div(copied("tidegate operations ls --kind trial"), className="verdict"),
                        ],
                        className="card-head",
                    ),
                    worker_said(),
                    operations_table("trial promotion"),
                ],
                className="card",
            ),
        ],
        **data(topics="overview operations"),
    )


def trial_page(name: str) -> Component:
    """One trial."""
    return html.Div(
        [
            html.Header([html.P(dcc.Link("Trials", href="/trials", className="more"), className="quiet")]),
            html.Section(
                [worker_said(), html.Div(className="operation", **data(operation_page=name))], className="card"
            ),
        ],
        **data(topics="overview operations"),
    )
