"""A table that can be sorted, filtered and scrolled through however long it is: AG Grid, where a page has one.

Its scripts are 2.2 MB, and on every page they cost the opening of each a sixth. So they are served, but no page is sent with them:
`grid.js` loads them when the first such table has something to show, and gives the table what the page has been told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dash_ag_grid
from dash import html

from dash_app.pages.elements import data

if TYPE_CHECKING:
    from dash.development.base_component import Component

# Dash serves what is `dynamic`, and leaves it to the page to load it.
for _script in dash_ag_grid._js_dist:  # noqa: SLF001 (Dash itself reads it there)
    _script["dynamic"] = True
    _script.pop("async", None)


def grid(name: str, title: str) -> Component:
    """Where `grid.js` puts a table.

    Args:
        name: what the page's script calls it.
        title: what a screen reader says of it.
    """
    return html.Div(
        [html.Div(className="grid-bar"), html.Div(id=f"grid-{name}", className="grid-table")],
        className="grid",
        role="region",
        hidden=True,
        **data(grid=name, title=title),
    )
