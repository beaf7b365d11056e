"""The files for Prometheus and Alertmanager: their own tools say that they are right, and they say what our policy says."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.exposition import generate_latest

from alerts.policy.burn import SEVERITY
from alerts.policy.inhibit import explains
from alerts.policy.lag import GROUP_VERDICTS, QUERY_VERDICTS
from alerts.policy.rules import RULES, TEST
from controlplane.contract.burn import PACES
from controlplane.contract.durations import parse_duration
from controlplane.contract.gates import Stage
from controlplane.contract.metrics.meter import FOR_EVER, Meter
from controlplane.contract.metrics.serve import registry_of
from controlplane.contract.metrics.table import METRICS, PROCESSES
from controlplane.contract.names import Hop
from controlplane.contract.settings import Settings
from controlplane.setup.prometheus import tool

DOCKER = Path(__file__).parents[2] / "docker"


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((DOCKER / "prometheus" / f"{name}.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


VERDICTS = {"query": QUERY_VERDICTS, "group": GROUP_VERDICTS}
RECORDED, ALERTS = rules("recording"), rules("alerts")
TRIED = [
    case
    for file in DOCKER.glob("prometheus/*_test.yml")
    for test in yaml.safe_load(file.read_text())["tests"]
    for case in test.get("alert_rule_test", ())
]
ALERTMANAGER = DOCKER / "alertmanager" / "alertmanager.yml"


def run(name: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    found = tool(Settings().cache, name)
    if found is None:
        pytest.skip(f"there is no {name}: `make test` unpacks it where there is apt-get")
    return subprocess.run([found, *arguments], cwd=DOCKER.parent, input=given, capture_output=True, check=False)


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + done.stderr).decode()


def test_promtool_takes_the_configuration_with_its_rules() -> None:
    done = run("promtool", "check", "config", "docker/prometheus/prometheus.yml")
    assert done.returncode == 0, said(done)
    assert "2 rule files found" in said(done)


@pytest.mark.parametrize("file", sorted(path.name for path in DOCKER.glob("prometheus/*_test.yml")))
def test_the_rules_fire_when_they_should_and_only_then(file: str) -> None:
    done = run("promtool", "test", "rules", f"docker/prometheus/{file}")
    assert done.returncode == 0, said(done)


@pytest.mark.parametrize("kind", PROCESSES)
def test_promtool_finds_no_fault_with_names_and_helps(kind: str) -> None:
    meter = Meter()
    for metric in METRICS.values():
        if metric.kind == "histogram":
            meter.observe(metric.name, *metric.labels, value=1.0)
        else:
            meter.hold(metric.name, *metric.labels, value=1.0, until=FOR_EVER)
    done = run("promtool", "check", "metrics", given=generate_latest(registry_of(kind, meter=meter)))
    assert said(done) == ""
    assert done.returncode == 0


def test_every_rule_names_metrics_and_labels_that_there_are() -> None:
    recorded = {rule["record"] for rule in RECORDED}
    for rule in (*RECORDED, *ALERTS):
        named = set(re.findall(r"(?<![\w:])[a-z_]*:?tidegate_\w+(?::\w+)?", rule["expr"]))
        assert named <= recorded | set(METRICS), rule["expr"]
        for name, matchers in re.findall(r"(tidegate_\w+)\{([^}]*)\}", rule["expr"]):
            assert set(re.findall(r"(\w+)[=!]", matchers)) <= set(METRICS[name].labels), rule["expr"]


@pytest.mark.parametrize("rule", sorted(set(RULES) - {TEST}))
def test_an_alert_says_what_the_policy_says(rule: str) -> None:
    policy, saying = RULES[rule], [alert for alert in ALERTS if alert["labels"]["rule"] == rule]
    assert policy.severity in {alert["labels"]["severity"] for alert in saying}
    delays = {parse_duration(alert["for"]) if "for" in alert else timedelta(0) for alert in saying}
    assert policy.after in delays
    if policy.well_for is not None:
        assert {parse_duration(alert["keep_firing_for"]) for alert in saying} == {policy.well_for}


@pytest.mark.parametrize("whose", ["query", "group"])
def test_a_verdict_of_lag_is_told_as_the_policy_tells_it(whose: str) -> None:
    policy = {verdict: (str(severity), after) for verdict, (severity, after) in VERDICTS[whose].items()}
    told = {
        verdict: (alert["labels"]["severity"], parse_duration(alert["for"]))
        for alert in ALERTS
        if (found := re.search(r'hop(!?)="",verdict=~"([^"]+)"', alert["expr"]))
        and bool(found[1]) is (whose == "query")
        for verdict in found[2].split("|")
    }
    assert told == policy


def test_budgets_burn_at_the_policys_paces() -> None:
    for pace in PACES:
        windows = [f"ratio_rate{window}" for window in (short_of(pace.long), short_of(pace.short))]
        [alert] = [each for each in ALERTS if "validity_ratio" in each["expr"] and windows[0] in each["expr"]]
        assert f"clamp_max({pace.rate:g} *" in alert["expr"]
        assert windows[1] in alert["expr"]
        assert alert["labels"]["severity"] == SEVERITY[pace]


def short_of(window: timedelta) -> str:
    minutes = int(window.total_seconds() // 60)
    return f"{minutes // 60}h" if minutes >= 60 else f"{minutes}m"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_has_what_who_is_woken_needs(alert: dict[str, Any]) -> None:
    labels, annotations = alert["labels"], alert["annotations"]
    assert labels["severity"] in ("critical", "error", "warning")
    assert annotations["runbook"] == f"alerts/runbooks/{labels['rule']}.md"
    assert (DOCKER.parent / annotations["runbook"]).exists()
    assert annotations["summary"]
    assert annotations["description"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_is_tried_in_a_rules_test(alert: dict[str, Any]) -> None:
    tried = [case for case in TRIED if case["alertname"] == alert["alert"]]
    assert any(case.get("exp_alerts") for case in tried), "it never fires in a test"
    assert any(not case.get("exp_alerts") for case in tried), "it never keeps silent in a test"


def test_amtool_takes_the_configuration() -> None:
    done = run("amtool", "check-config", "docker/alertmanager/alertmanager.yml")
    assert done.returncode == 0, said(done)


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("critical", "pagerduty"), ("error", "pagerduty"), ("warning", "pagerduty"), ("info", "nobody")],
)
def test_an_alert_goes_where_its_severity_says(severity: str, receiver: str) -> None:
    labels = (f"severity={severity}", "rule=lag")
    routes = ("config", "routes", "test", "--config.file", "docker/alertmanager/alertmanager.yml")
    done = run("amtool", *routes, f"--verify.receivers={receiver}", *labels)
    assert done.returncode == 0, said(done)


# One page a cause: Alertmanager's rules against the policy's, for every pair of causes of one stream and of two.

PARTS = (
    *[
        "control",
        "supervisor",
        "kafka",
        "registry",
        "clickhouse",
        "route",
        "lake",
        "live",
        "lag",
        "ledger",
        "quality",
        "console",
        "alerts",
    ],
)
PLACES = [(f"shop/{hop}", {"stream": "shop", "hop": hop}) for hop in (Hop.VALID, Hop.LAKE, Hop.SERVING)]
STAGES = [
    (f"{stream}/{stage}", {"stream": stream, "stage": stage}) for stream in ("shop", "flights") for stage in Stage
]
STREAM = [("shop", {"stream": "shop"})]
CAUSES = [
    *(("part_down", part, {"part": part}) for part in PARTS),
    *((rule, *stage) for rule in ("gate_failed", "gate_misconfigured", "breaker_open") for stage in STAGES),
    *((rule, *place) for rule in ("lag", "freshness") for place in PLACES),
    *((rule, *stream) for rule in ("validity", "latency", "ledger_unknown", "ledger_unbalanced") for stream in STREAM),
    ("job_failed", "maintenance of shop", {"stream": "shop"}),
    ("probes", "probes", {}),
]
INHIBITIONS = yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]


def fits(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        name, operator, quoted = re.fullmatch(r"(\w+)(=~|!~|!=|=)(\".*\")", matcher).groups()  # type: ignore[union-attr]
        value, wanted = labels.get(name, ""), json.loads(quoted)
        is_it = re.fullmatch(wanted, value) is not None if "~" in operator else value == wanted
        if is_it is operator.startswith("!"):
            return False
    return True


def test_alertmanager_holds_back_what_the_policy_explains_and_nothing_else() -> None:
    for (rule, subject, labels), (other_rule, about, others) in product(CAUSES, CAUSES):
        if (rule, subject) == (other_rule, about):
            continue
        source, target = {"rule": rule, **labels}, {"rule": other_rule, **others}
        held = any(
            fits(each["source_matchers"], source)
            and fits(each["target_matchers"], target)
            and all(source.get(name, "") == target.get(name, "") for name in each.get("equal", ()))
            for each in INHIBITIONS
        )
        assert held is explains((rule, subject), (other_rule, about)), f"{rule} {subject} -> {other_rule} {about}"
