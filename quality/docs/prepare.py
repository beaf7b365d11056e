"""What does Great Expectations' site builder get, and what is done to its pages?

Its renderers put values from the data into HTML as they are, stumble over results of a few expectations, and its pages load
scripts and styles from six CDNs. So strings from the data are escaped first; what a renderer cannot take is left out; and of
the finished pages scripts and everything from elsewhere are removed, in favour of one stylesheet of our own. They read without
any script, and without a network.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path  # noqa: TC003 (a field of a dataclass)
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]
NEWEST = 20
"""Results of each gate that get a page."""
STYLE = "tidegate.css"
_DATA = ("partial_unexpected_list", "partial_unexpected_counts", "observed_value", "details")
_SCRIPTS = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
_ELSEWHERE = re.compile(r"<(?:link|img)\b[^>]*\b(?:href|src)=[\"'](?:https?:)?//[^>]*>", re.IGNORECASE)
_PICTURES = re.compile(r"url\(['\"]?(?:https?:)?//[^)]*\)", re.IGNORECASE)
_NEWS = re.compile(r"<footer>.*?</footer>", re.DOTALL)
_HANDLERS = re.compile(r"\son\w+=\"[^\"]*\"", re.IGNORECASE)
_HEAD_ENDS = re.compile(r"</head>", re.IGNORECASE)


@dataclass(frozen=True)
class Written:
    """One result file."""

    file: Path
    stream: str
    gate: str
    """`<stage>[-<table>]`."""
    at: datetime
    decided: Json
    suite: Json
    result: Json

    @property
    def suite_name(self) -> str:
        """What the site calls the gate's suite."""
        return f"{self.stream}-{self.gate}"


def newest(root: Path, most: int = NEWEST) -> Iterator[Written]:
    """The newest results of each gate that can be read, the oldest of them first."""
    for folder in sorted(root.glob("*/*/")):
        for file in sorted(folder.glob("*.json"))[-most:]:
            if (found := _read(file)) is not None:
                yield found


def _read(file: Path) -> Written | None:
    """A result file; None for one that is gone by now, or is none."""
    try:
        said = orjson.loads(file.read_bytes())
        decided = said["decided"]
        return Written(
            file=file,
            stream=str(decided["stream"]),
            gate=file.parent.name,
            at=datetime.fromisoformat(decided["at"]),
            decided=decided,
            suite=dict(said["suite"]),
            result=dict(said["result"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def renderable(written: Written) -> Json:
    """Great Expectations' result as its renderers take it, every string from the data escaped."""
    results = [_renderable(each) for each in written.result.get("results", ())]
    run = {"run_name": written.decided["subject"], "run_time": written.at.isoformat()}
    meta = {**(written.result.get("meta") or {}), "run_id": run}
    return {**written.result, "suite_name": written.suite_name, "results": results, "meta": meta}


def _renderable(result: Json) -> Json:
    info = dict(result.get("exception_info") or {})
    if info.get("raised_exception"):
        # The message they do escape; None they take for no text.
        info |= {"exception_message": str(info.get("exception_message")), "exception_traceback": "It is not kept."}
    said = {key: _escaped(value) if key in _DATA else value for key, value in (result.get("result") or {}).items()}
    if "unexpected_percent" not in said:
        # Of some expectations over sets of values: the renderer asks for a percentage that the result does not have.
        said = {key: value for key, value in said.items() if not key.startswith(("unexpected_", "partial_"))}
    return {**result, "result": said, "exception_info": info}


def _escaped(value: Any) -> Any:  # noqa: ANN401 (JSON)
    match value:
        case str():
            return html.escape(value)
        case list():
            return [_escaped(each) for each in value]
        case dict():
            return {_escaped(key): _escaped(each) for key, each in value.items()}
        case _:
            return value


def cleaned(page: str, up: int) -> str:
    """A page of the site without scripts and without anything from elsewhere.

    Args:
        page: HTML.
        up: how many folders below the site's root it lies.
    """
    for pattern in (_SCRIPTS, _ELSEWHERE, _PICTURES, _NEWS, _HANDLERS):
        page = pattern.sub("", page)
    style = f'<link rel="stylesheet" href="{"../" * up}{STYLE}">\n</head>'
    return _HEAD_ENDS.sub(style, page, count=1)


def index(entries: Iterable[tuple[Written, str]], built: datetime) -> str:
    """The site's first page: Great Expectations' own is drawn by a script from a CDN.

    Args:
        entries: each result, and the address of its page from the site's root.
        built: when.
    """
    gates: dict[str, list[tuple[Written, str]]] = {}
    for written, address in entries:
        gates.setdefault(written.suite_name, []).append((written, address))
    sections = "".join(_section(name, found) for name, found in sorted(gates.items()))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Data Docs of Tidegate</title>'
        f'<link rel="stylesheet" href="{STYLE}"></head><body class="index"><h1>Data Docs</h1>'
        f"<p>What Great Expectations found in the last verdicts of each gate; built {built:%Y-%m-%d %H:%M:%S} UTC.</p>"
        f"{sections or '<p>No gate has judged yet.</p>'}</body></html>"
    )


def _section(name: str, found: list[tuple[Written, str]]) -> str:
    rows = "".join(map(_row, sorted(found, key=lambda each: each[0].at, reverse=True)))
    address, title = html.escape(name), html.escape(name.replace("-", " "))
    suite = f'<a href="expectations/{address}.html">its suite</a>'
    return f'<h2 id="{address}">{title}</h2><p>{suite}</p><table><tbody>{rows}</tbody></table>'


def _row(entry: tuple[Written, str]) -> str:
    written, address = entry
    statistics = written.result.get("statistics") or {}
    kept, of = statistics.get("successful_expectations"), statistics.get("evaluated_expectations")
    outcome = html.escape(str(written.decided["outcome"]))
    return (
        f'<tr><td><a href="{html.escape(address)}">{written.at:%Y-%m-%d %H:%M:%S} UTC</a></td>'
        f'<td><span class="outcome {outcome}">{outcome.replace("_", " ")}</span></td>'
        f"<td>{html.escape(str(written.decided['subject']))}</td><td>{kept} of {of} expectations met</td>"
        f"<td>suite {html.escape(str(written.decided['suite']))}</td></tr>"
    )
