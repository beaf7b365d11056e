"""How are two runs read beside one another without a platform? One file: figures with their verdicts, both over one time axis."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pipeline.loads.findings.chart import Line
from pipeline.loads.findings.html import document, drawn, known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.loads import Difference, LoadCompared, LoadReport

_CHARTS = (
    ("Accepted, a second", "accepted"),
    ("Response p99, ms since it was due", "p99_ms"),
    ("Event to pixel p99, ms", "pixel_p99_ms"),
    ("Executors", "executors"),
)
"""Title, field of a second."""
_STATES = {True: "good", False: "bad", None: ""}


def comparison(found: LoadCompared) -> str:
    """The whole file."""
    runs = (found.before, found.after)
    parts = [
        "<h1>Two load tests</h1>",
        *(f"<p>{_run(each)}</p>" for each in runs),
        *(f'<p class="unknown">Not comparable because {escape(each)}.</p>' for each in found.incomparable),
        "<h2>At the peak, the median of its seconds</h2>",
        _differences(found),
        *(f'<p class="quiet">{escape(each)}</p>' for each in found.notes),
        *(_overlaid(title, field, found) for title, field in _CHARTS),
    ]
    return document("Two load tests", parts)


def _run(report: LoadReport) -> str:
    asked = report.asked
    what = f"{asked.shape} on {asked.stream} by {asked.target}, {report.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"<b>{report.id}</b> {escape(f'{what}, by {report.by}; {report.ended}')}"


def _differences(found: LoadCompared) -> str:
    runs = f"<th>before: {found.before.id}</th><th>after: {found.after.id}</th>"
    return f"<table><tr><th></th>{runs}<th></th><th>n, of each</th></tr>{''.join(map(_row, found.differences))}</table>"


def _row(each: Difference) -> str:
    values = "".join(f"<td>{known(value, each.unit)}</td>" for value in (each.before, each.after))
    verdict = f'<td class="{_STATES[each.is_better]}">{escape(each.text)}</td>'
    return f"<tr><td>{escape(each.figure)}</td>{values}{verdict}<td>{each.n[0]} and {each.n[1]}</td></tr>"


def _overlaid(title: str, field: str, found: LoadCompared) -> str:
    return drawn(title, _lines(field, found), found.before)


def _lines(field: str, found: LoadCompared) -> Iterator[Line]:
    for run in (found.before, found.after):
        yield Line(run.id, tuple((each.t_s, getattr(each, field)) for each in run.seconds))
