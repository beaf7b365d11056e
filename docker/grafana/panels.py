"""What is a panel, a variable, a dashboard? Small builders of Grafana's classic dashboard JSON (schema 41).

Nothing names a data source: each panel asks `${prometheus}` or `${clickhouse}`, variables of the dashboard, or Grafana Live, which
is Grafana's own. A number that is not there is drawn as "unknown", and each single number has its age beside it.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PROMETHEUS: Json = {"type": "prometheus", "uid": "${prometheus}"}
GRAFANA: Json = {"type": "datasource", "uid": "grafana"}
"""Grafana Live's own; every Grafana has it."""
CLICKHOUSE: Json = {"type": "grafana-clickhouse-datasource", "uid": "${clickhouse}"}
_WIDTH, _HEIGHT = 24, 8
_NO_TIMEZONE = "browser"
_AGE = "age"
_STALE_AFTER_S = 30


def prom(expr: str, legend: str = "", *, instant: bool = False, ref: str = "A") -> Json:
    """A PromQL target."""
    return {"refId": ref, "datasource": PROMETHEUS, "expr": expr, "legendFormat": legend or "__auto",
            "instant": instant, "range": not instant, "editorMode": "code"}  # fmt: skip


def sql(statement: str, *, table: bool = False, ref: str = "A") -> Json:
    """A target of the ClickHouse plugin, as it writes SQL that somebody typed."""
    return {"refId": ref, "datasource": CLICKHOUSE, "editorType": "sql", "rawSql": statement,
            "queryType": "table" if table else "timeseries", "format": 1 if table else 0}  # fmt: skip


def live(measurement: str, *, ref: str = "A") -> Json:
    """A target of Grafana Live: what the part `grafana` pushes, a channel of one value."""
    return {"refId": ref, "datasource": GRAFANA, "queryType": "measurements",
            "channel": f"stream/tidegate/{measurement}"}  # fmt: skip


def _panel(kind: str, title: str, targets: list[Json], width: int, described: str, page: str) -> Json:
    links = [_link("In the console", f"${{console}}{page}")] if page else []
    return {"type": kind, "title": title, "description": described, "datasource": targets[0]["datasource"],
            "targets": targets, "links": links, "gridPos": {"x": 0, "y": 0, "w": width, "h": _HEIGHT}}  # fmt: skip


def stat(title: str, expr: str, unit: str = "short", *, of: str, described: str, page: str = "",
         red_from: float | None = None) -> Json:  # fmt: skip
    """A number of now, and how old what it is made of is.

    Args:
        title: what it is.
        expr: one sample.
        unit: Grafana's.
        of: the metric whose newest sample's age is shown.
        described: a sentence.
        page: of the console.
        red_from: from which value on it is bad.
    """
    targets = [prom(expr, "now", instant=True), prom(f"time() - max(timestamp({of}))", _AGE, instant=True, ref="B")]
    panel = _panel("stat", title, targets, 4, described, page)
    steps: list[Json] = [{"color": "text", "value": None}] if red_from is None else [
        {"color": "green", "value": None}, {"color": "red", "value": red_from}]  # fmt: skip
    stale: list[Json] = [{"color": "text", "value": None}, {"color": "orange", "value": _STALE_AFTER_S}]
    panel["gridPos"]["h"] = 4
    panel["fieldConfig"] = {
        "defaults": {"unit": unit, "noValue": "unknown", "thresholds": {"mode": "absolute", "steps": steps}},
        "overrides": [
            {
                "matcher": {"id": "byName", "options": _AGE},
                "properties": [
                    {"id": "unit", "value": "s"},
                    {"id": "thresholds", "value": {"mode": "absolute", "steps": stale}},
                ],
            }
        ],
    }
    panel["options"] = {
        "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "value_and_name",
        "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard", "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }  # fmt: skip
    return panel


def graph(title: str, *targets: Json, unit: str = "short", described: str, page: str = "", width: int = 12,
          stacked: bool = False) -> Json:  # fmt: skip
    """Lines over time; a gap is a gap."""
    numbered = [{**target, "refId": "ABCDEFGH"[number]} for number, target in enumerate(targets)]
    panel = _panel("timeseries", title, numbered, width, described, page)
    custom: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if stacked else 0, "showPoints": "never",
                    "spanNulls": False, "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}  # fmt: skip
    panel["fieldConfig"] = {"defaults": {"unit": unit, "noValue": "unknown", "custom": custom}, "overrides": []}
    panel["options"] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                        "tooltip": {"mode": "multi", "sort": "desc"}}  # fmt: skip
    return panel


def timeline(title: str, target: Json, *, described: str, page: str = "", width: int = 12) -> Json:
    """Which state over time: a row a series, drawn where it is 1."""
    panel = _panel("state-timeline", title, [target], width, described, page)
    mapped: Json = {"type": "value", "options": {"1": {"text": "yes", "color": "blue", "index": 0},
                                                 "0": {"text": "", "color": "transparent", "index": 1}}}  # fmt: skip
    custom: Json = {"fillOpacity": 70, "lineWidth": 0}
    panel["fieldConfig"] = {"defaults": {"noValue": "unknown", "mappings": [mapped], "custom": custom}, "overrides": []}
    panel["options"] = {"rowHeight": 0.9, "showValue": "never", "mergeValues": True, "alignValue": "left",
                        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
                        "tooltip": {"mode": "single", "sort": "none"}}  # fmt: skip
    return panel


def pushed(panel: Json, legend: str) -> Json:
    """A panel of Grafana Live: its lines are named by their labels."""
    panel["fieldConfig"]["defaults"]["displayName"] = legend
    return panel


def words(title: str, target: Json, legend: str, *, described: str, page: str = "", width: int = 12) -> Json:
    """Which word over time: a row a series, a colour a word of a verdict."""
    colours = {"ok": "green", "balanced": "green", "in_flight": "blue", "unknown": "purple", "warn": "orange", "rewind": "orange",
               "stall": "red", "stop": "red", "unbalanced": "red"}  # fmt: skip
    panel = timeline(title, target, described=described, page=page, width=width)
    options = {word: {"text": word, "color": colour, "index": at} for at, (word, colour) in enumerate(colours.items())}
    panel["fieldConfig"]["defaults"]["mappings"] = [{"type": "value", "options": options}]
    panel["options"]["showValue"] = "auto"
    return pushed(panel, legend)


def rows(title: str, target: Json, *, described: str, page: str = "", width: int = 12) -> Json:
    """A table."""
    panel = _panel("table", title, [target], width, described, page)
    panel["fieldConfig"] = {"defaults": {"noValue": "unknown"}, "overrides": []}
    panel["options"] = {"showHeader": True, "frameIndex": 0, "cellHeight": "sm"}
    return panel


def _link(title: str, url: str) -> Json:
    return {"title": title, "url": url, "type": "link", "icon": "external link", "tags": [], "tooltip": "",
            "asDropdown": False, "targetBlank": True, "includeVars": False, "keepTime": False}  # fmt: skip


def _variables(several: bool) -> list[Json]:
    return [
        {"type": "datasource", "name": "prometheus", "label": "Prometheus", "query": "prometheus"},
        {"type": "datasource", "name": "clickhouse", "label": "ClickHouse", "query": CLICKHOUSE["type"]},
        {
            "type": "query", "name": "stream", "label": "Stream", "datasource": PROMETHEUS, "refresh": 2, "sort": 1,
            "multi": several, "includeAll": several, "allValue": ".*" if several else "",
            "query": {"query": "label_values(tidegate_promised_freshness_seconds, stream)", "refId": "streams"},
        },
        {"type": "textbox", "name": "console", "label": "Console", "query": "http://127.0.0.1:8050"},
    ]  # fmt: skip


def dashboard(name: str, title: str, described: str, panels: list[Json], *, several: bool = True) -> Json:
    """A dashboard; panels are put side by side, in the order given.

    Args:
        name: its uid is `tidegate-<name>`.
        title: what people read.
        described: a sentence.
        panels: in order.
        several: whether more than one stream can be chosen.
    """
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        at = panel["gridPos"]
        if x + at["w"] > _WIDTH:
            x, y, height = 0, y + height, 0
        panel |= {"id": number, "gridPos": {**at, "x": x, "y": y}}
        x, height = x + at["w"], max(height, at["h"])
    others: Json = {**_link("Tidegate", ""), "type": "dashboards", "tags": ["tidegate"], "asDropdown": True,
                    "keepTime": True, "includeVars": True, "targetBlank": False, "icon": "dashboard"}  # fmt: skip
    return {
        "uid": f"tidegate-{name}", "title": title, "description": described, "tags": ["tidegate"], "schemaVersion": 41,
        "editable": True, "refresh": "10s", "timezone": _NO_TIMEZONE, "graphTooltip": 1, "version": 1,
        "time": {"from": "now-1h", "to": "now"}, "timepicker": {}, "annotations": {"list": []},
        "links": [others, _link("Console", "${console}")], "templating": {"list": _variables(several)}, "panels": panels,
    }  # fmt: skip
