"""What is a chart before its first frame? Empty: numbers on its axes would be made up. `paint.js` draws in the theme's colours."""

from __future__ import annotations

import plotly.graph_objects as go


def empty_figure() -> go.Figure:
    """A figure with room for lines over event time."""
    return go.Figure(
        layout=go.Layout(
            autosize=True,
            margin={"l": 44, "r": 8, "t": 6, "b": 26},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            showlegend=False,
            hovermode="x unified",
            xaxis={"visible": False, "type": "date", "showgrid": False, "zeroline": False, "fixedrange": True},
            yaxis={"visible": False, "rangemode": "tozero", "zeroline": False, "nticks": 5, "fixedrange": True},
            uirevision="kept",
        )
    )
