"""A real Alertmanager with our configuration, and the stand-in of PagerDuty: one page a cause, as bad as it is, and resolved."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from controlplane.contract.settings import Settings
from controlplane.setup.prometheus import TEMPLATES, tool
from controlplane.up.checks import free_port
from load_tests.bench.pagerduty import KEY, PagerDutyStandIn, served_pagerduty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIGURATION = Path(__file__).parents[2] / "docker" / "alertmanager" / "alertmanager.yml"
KAFKA = {"alertname": "TidegatePartDown", "rule": "part_down", "part": "kafka", "severity": "critical"}
LAG = {"alertname": "TidegateQueryStandsStill", "rule": "lag", "stream": "shop", "hop": "lake", "severity": "error"}
JOB = {"alertname": "TidegateMaintenanceFailed", "rule": "job_failed", "stream": "shop", "severity": "warning"}
NOTE = {"alertname": "Note", "rule": "none", "severity": "info"}


@pytest.fixture
def pagerduty() -> PagerDutyStandIn:
    return PagerDutyStandIn()


@pytest.fixture
def alertmanager(pagerduty: PagerDutyStandIn, tmp_path: Path, eventually: Callable[..., Any]) -> Iterator[str]:
    """Its address; it waits a second where the configuration says longer."""
    program = tool(Settings().cache, "prometheus-alertmanager")
    if program is None:
        pytest.skip("there is no prometheus-alertmanager: `make test` unpacks it where there is apt-get")
    if not TEMPLATES.exists():
        pytest.skip(f"Alertmanager's templates are not in {TEMPLATES}: `make test` as root links them")
    (tmp_path / "pagerduty.key").write_text(KEY)
    with served_pagerduty(pagerduty) as address:
        text = re.sub(r"(group_\w+): \w+$", r"\1: 1s", CONFIGURATION.read_text(), flags=re.MULTILINE)
        text = text.replace("/etc/alertmanager/pagerduty.key", f"{tmp_path}/pagerduty.key")
        (tmp_path / "alertmanager.yml").write_text(f"global:\n  pagerduty_url: {address}/v2/enqueue\n{text}")
        url = f"http://127.0.0.1:{free_port()}"
        command = [
            program, f"--config.file={tmp_path}/alertmanager.yml", f"--storage.path={tmp_path}/data",
            f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address=", "--log.level=warn",
        ]  # fmt: skip
        with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                eventually(lambda: is_ready(url), f"Alertmanager answers; see {tmp_path}/log")
                yield url
            finally:
                process.terminate()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=1).is_success
    except httpx.HTTPError:
        return False


def tell(url: str, *alerts: dict[str, str], ended: bool = False) -> None:
    """As Prometheus tells."""
    now = datetime.now(UTC)
    until = now if ended else now + timedelta(minutes=5)
    told = [
        {
            "labels": labels,
            "annotations": {
                "summary": f"{labels['alertname']} it is",
                "description": "so",
                "runbook": "alerts/runbooks/x.md",
            },
            "startsAt": (now - timedelta(minutes=1)).isoformat(),
            "endsAt": until.isoformat(),
        }
        for labels in alerts
    ]
    httpx.post(f"{url}/api/v2/alerts", json=told, timeout=5).raise_for_status()


def test_one_page_a_cause_as_bad_as_it_is_and_resolved(
    alertmanager: str, pagerduty: PagerDutyStandIn, eventually: Callable[..., Any]
) -> None:
    tell(alertmanager, KAFKA)
    eventually(lambda: pagerduty.incidents, "a page about the broker")
    tell(alertmanager, LAG, JOB, NOTE)
    eventually(lambda: len(pagerduty.incidents) == 2, "a page about the job")
    assert [(each.severity, each.summary) for each in pagerduty.incidents] == [
        ("critical", "TidegatePartDown it is"),
        ("warning", "TidegateMaintenanceFailed it is"),
    ]
    payload = pagerduty.incidents[0].bodies[0]["payload"]
    assert (payload["class"], payload["component"]) == ("part_down", "kafka")
    assert payload["custom_details"]["runbook"] == "alerts/runbooks/x.md"
    tell(alertmanager, KAFKA, ended=True)
    eventually(lambda: pagerduty.incidents[0].status == "resolved", "the broker's incident is resolved")
    eventually(lambda: len(pagerduty.incidents) == 3, "a page about the lag, which the broker no longer explains")
    assert (pagerduty.incidents[2].severity, pagerduty.incidents[2].summary) == (
        "error",
        "TidegateQueryStandsStill it is",
    )
    assert pagerduty.refused == []
    assert pagerduty.unpublished == []
