"""What stands for a page where there is no room for its name? Lines on a square of 24, drawn in the colour of the text."""

from __future__ import annotations

_CIRCLE = "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18z"
_PATHS = {
    "/": "M4 4h6v6H4z M14 4h6v6h-6z M4 14h6v6H4z M14 14h6v6h-6z",
    "/live": "M3 12h4l3-8l4 16l3-8h4",
    "/lag": f"{_CIRCLE} M12 7v5l4 2",
    "/latency": "M12 6a7.5 7.5 0 1 0 0 15a7.5 7.5 0 0 0 0-15z M9 3h6 M12 10v4",
    "/spark": "M13 3L5 14h6l-1 7l9-12h-6z",
    "/scaling": "M5 20v-6 M12 20V9 M19 20V4 M3 20h18",
    "/load": "M4 18a9 9 0 1 1 16 0 M12 15l4-6 M4 18h16",
    "/alerts": "M5 20h14 M7 20v-7a5 5 0 0 1 10 0v7 M12 3v2 M4 6l2 2 M20 6l-2 2",
    "/ledger": "M5 4h14v16H5z M9 4v16 M12 9h4 M12 13h4",
    "/quality": f"{_CIRCLE} M8 12l3 3l5-6",
    "/quarantine": "M12 4l9 16H3z M12 10v4 M12 17v1",
    "/schemas": "M9 4C4 4 8 12 4 12c4 0 0 8 5 8 M15 4c5 0 1 8 5 8c-4 0 0 8-5 8",
    "/lake": "M12 4l9 4l-9 4l-9-4z M3 12l9 4l9-4 M3 16l9 4l9-4",
    "/sql": "M3 5h18v14H3z M7 9l3 3l-3 3 M12 15h5",
    "/backfills": "M4 12a8 8 0 1 0 3-6 M4 4v5h5 M12 8v4l3 2",
    "/trials": "M9 3h6 M10 3v6L5 19q0 2 2 2h10q2 0 2-2L14 9V3 M8 15h8",
    "/operations": "M4 6l1 1l2-2 M4 12l1 1l2-2 M4 18l1 1l2-2 M10 6h10 M10 12h10 M10 18h10",
    "/audit": "M6 3h9l4 4v14H6z M9 11h7 M9 15h7",
    "menu": "M4 7h16 M4 12h16 M4 17h16",
    "fold": "M14 6l-6 6l6 6 M19 6v12",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z M15.5 15.5L21 21",
    "news": "M6 16v-5a6 6 0 0 1 12 0v5l2 2H4z M10 21h4",
    "person": "M12 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8z M4 21c0-9 16-9 16 0",
    "theme": f"{_CIRCLE} M12 3v18 M12 8h6 M12 12h9 M12 16h7",
}


def icon(name: str) -> str:
    """As a CSS image; a page without one of its own gets a dot."""
    path = _PATHS.get(name, "M12 9a3 3 0 1 0 0 6a3 3 0 0 0 0-6z")
    drawn = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='black' stroke-width='1.8' "
        f"stroke-linecap='round' stroke-linejoin='round'><path d='{path}'/></svg>"
    )
    return f'url("data:image/svg+xml,{drawn.replace("<", "%3C").replace(">", "%3E")}")'
