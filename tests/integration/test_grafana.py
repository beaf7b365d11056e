"""Every panel's query, run for real: PromQL by the Prometheus that scrapes the platform, SQL by its ClickHouse."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import clickhouse_connect
import pytest

from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.streams import StreamDefinition

FILES = sorted((Path(__file__).parents[2] / "docker" / "grafana" / "dashboards").glob("*.json"))
TARGETS = [
    pytest.param(target, id=f"{file.stem}: {panel['title']} {target['refId']}")
    for file in FILES
    for panel in json.loads(file.read_text())["panels"]
    for target in panel["targets"]
]
PROMQL = [each for each in TARGETS if "expr" in each.values[0]]
SQL = [each for each in TARGETS if "rawSql" in each.values[0]]
_STEP_S = 15
SINCE = datetime.now(UTC) - timedelta(hours=1)
UNTIL = SINCE + timedelta(hours=2)


@pytest.mark.parametrize("target", PROMQL)
def test_a_promql_target_is_answered(target: dict[str, Any], prometheus: Any) -> None:
    expression = target["expr"].replace("$__rate_interval", "1m").replace("$stream", ".*")
    assert "$" not in expression
    if target["instant"]:
        prometheus.get("query", query=expression)
    else:
        bounds = {"start": f"{SINCE.timestamp():.0f}", "end": f"{UNTIL.timestamp():.0f}", "step": f"{_STEP_S}s"}
        prometheus.get("query_range", query=expression, **bounds)


@pytest.fixture(scope="module")
def clickhouse(running: Any, shop: StreamDefinition) -> Iterator[Client]:
    """As the provisioned data source reads: the user that may change nothing. There are events on their way."""
    settings = running.settings
    producer = EventProducer(shop, settings.kafka, settings.registry, transactional_id=f"test-{uuid4().hex}")
    with producer, producer.transaction() as send:
        for number in range(20):
            send(event(1, number, 0.0, datetime.now(UTC)).value)
    client = clickhouse_connect.get_client(dsn=settings.clickhouse, username="bi", autogenerate_session_id=False)
    yield client
    client.close()


def expanded(statement: str) -> str:
    """As grafana-clickhouse-datasource does it (pkg/macros)."""
    since, until = SINCE.timestamp(), UNTIL.timestamp()
    macros = {
        "timeFilter_ms": lambda column: (
            f"{column} >= fromUnixTimestamp64Milli({since * 1000:.0f}) "
            f"AND {column} <= fromUnixTimestamp64Milli({until * 1000:.0f})"
        ),
        "timeFilter": lambda column: f"{column} >= toDateTime({since:.0f}) AND {column} <= toDateTime({until:.0f})",
        "timeInterval": lambda column: f"toStartOfInterval(toDateTime({column}), INTERVAL {_STEP_S} second)",
    }
    for name, written in macros.items():
        statement = re.sub(rf"\$__{name}\((\w+)\)", lambda found, written=written: written(found[1]), statement)
    return statement.replace("${stream}", "shop")


@pytest.mark.parametrize("target", SQL)
def test_an_sql_target_is_answered_with_a_time_where_it_is_drawn_over_time(
    target: dict[str, Any], clickhouse: Client, eventually: Callable[..., Any]
) -> None:
    statement = expanded(target["rawSql"])
    assert "$" not in statement
    if target["queryType"] == "table":
        clickhouse.query(statement)
        return
    found = eventually(
        lambda: (answer := clickhouse.query(statement)).result_rows and answer, "there is something to draw"
    )
    assert found.column_names[0] == "time"
    assert "DateTime" in found.column_types[0].name
