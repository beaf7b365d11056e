"""How is a report read without a platform? One file: figures, what is to be thought of them, and charts over one time axis."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.contract.durations import format_duration
from controlplane.contract.loads import LoadTarget
from pipeline.loads.findings.chart import LINES, Line, chart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlplane.contract.loads import LoadReport

_STYLE = Path(__file__).with_name("report.css").read_text()
_META = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'


def written(report: LoadReport) -> str:
    """The whole file."""
    asked = report.asked
    title = f"Load test of {asked.stream} by {asked.target}, {asked.shape}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{report.id}, {report.at:%Y-%m-%d %H:%M:%S} UTC, by {escape(report.by)}; {escape(report.ended)}</p>',
        "<h2>What is to be thought of it</h2>",
        _judgements(report),
        "<h2>Figures</h2>",
        _table(dict(figures(report))),
        *(_chart(report, name) for name in LINES),
        "<h2>After the peak</h2>",
        _recoveries(report),
        "<h2>Settings, machine, versions</h2>",
        _table({**report.settings, **report.machine, **report.versions}),
    ]
    return document(title, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """A page of its own, which loads nothing."""
    head = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{_META}{head}</head><body>{"".join(parts)}</body></html>'


def figures(report: LoadReport) -> Iterator[tuple[str, str]]:
    """What is asked first."""
    asked = report.asked
    most = (
        f"{asked.users:,} clients"
        if asked.target is LoadTarget.HUB
        else f"{asked.rate:,g} a second, {asked.users:,} users"
    )
    yield "asked for", f"{asked.shape} up to {most}, for {format_duration(asked.lasts)}"
    yield "sent", f"{report.offered:,}" if asked.events else "nothing: its clients watch"
    yield "answers", ", ".join(f"{status}: {count:,}" for status, count in report.statuses.items()) or "none"
    yield "accepted at the peak", known(report.accepted_per_s, "a second")
    yield (
        "response at the peak",
        f"p50 {known(report.p50_ms, 'ms')}, p99 {known(report.p99_ms, 'ms')}, since an event was due",
    )
    yield "event to pixel", f"p99 at the worst {known(report.pixel_p99_ms, 'ms')}"
    yield "recovered after", known(report.recovery_s, "s")


def known(value: float | None, unit: str) -> str:
    """A figure with its unit."""
    return "unknown" if value is None else f"{value:,.4g} {unit}"


def _judgements(report: LoadReport) -> str:
    rows = (
        f'<tr><td class="{each.state}">{each.state}</td><td>{each.about}</td><td>{escape(each.text)}</td></tr>'
        for each in report.judgements
    )
    return f"<table>{''.join(rows)}</table>"


def _recoveries(report: LoadReport) -> str:
    head = "<tr><th>query</th><th>its level</th><th>at the worst</th><th>back after</th></tr>"
    rows = (
        f"<tr><td>{escape(each.consumer)}</td><td>{each.level_s:g} s</td><td>{known(each.worst_s, 's')}</td>"
        f"<td>{escape(each.reason) if each.seconds is None else f'{each.seconds:g} s'}</td></tr>"
        for each in report.recoveries
    )
    return f"<table>{head}{''.join(rows)}</table>" if report.recoveries else "<p>No query was watched.</p>"


def _chart(report: LoadReport, name: str) -> str:
    unit, lines_of = LINES[name]
    title = f"{name}{unit and f', {unit}'}"
    return drawn(title, lines_of(report.seconds), report)


def drawn(title: str, lines: Iterable[Line], report: LoadReport) -> str:
    """Those of which something was measured, with their names; over a run's time, its peak shaded."""
    measured = [line for line in lines if any(value is not None for _, value in line.points)]
    if not measured:
        return f'<h2>{escape(title)}</h2><p class="unknown">Not measured.</p>'
    return f"<h2>{escape(title)}</h2>{chart(measured, report.corners[-1][0], report.peak_s)}{_legend(measured)}"


def _legend(lines: list[Line]) -> str:
    items = (
        f'<span><i style="background: var(--line-{index % 6})"></i>{escape(each.name)}</span>'
        for index, each in enumerate(lines)
    )
    return f'<div class="legend">{"".join(items)}</div>'


def _table(rows: Mapping[str, str]) -> str:
    return f"<table>{''.join(f'<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>' for name, value in rows.items())}</table>"
