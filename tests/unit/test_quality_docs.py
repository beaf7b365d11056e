"""Data Docs: what the pages may have in them, when they are built, and what is served of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from controlplane.contract.gates import GateDecided, Outcome, Stage
from quality.docs.prepare import cleaned, index, newest, renderable
from quality.docs.serve import POLICY, add_docs, file_of
from quality.docs.site import UNWATCHED_EVERY_S, WATCHED_EVERY_S, Look, Site, is_due
from quality.results import write

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
NASTY = "<script>alert(1)</script>"


def keep(root: Path, number: int, result: dict[str, Any], subject: str = "micro-batch 7") -> None:
    at = NOW + timedelta(seconds=number)
    said = {"stream": "shop", "stage": Stage.LAKE, "subject": subject, "suite": "a" * 12, "rows": 9, "judged": 9}
    decided = GateDecided(id=f"id{number}", at=at, outcome=Outcome.DIVERTED, **said)
    write(root, decided, {"name": "s", "expectations": []}, result)


def result(**said: Any) -> dict[str, Any]:
    raised = {"raised_exception": False, "exception_message": None, "exception_traceback": None}
    one = {
        "success": False,
        "expectation_config": {"type": "e", "kwargs": {}},
        "result": said,
        "exception_info": raised,
    }
    return {"success": False, "results": [one], "suite_name": "s", "statistics": {}, "meta": {}}


def test_strings_from_the_data_are_escaped_before_they_are_rendered(tmp_path: Path) -> None:
    counts = [{"value": NASTY, "count": 2}]
    said = result(partial_unexpected_list=[NASTY, 3], partial_unexpected_counts=counts, unexpected_percent=5.0)
    keep(tmp_path, 0, said)
    [written] = newest(tmp_path)
    assert "<script" not in json.dumps(renderable(written))
    assert renderable(written)["results"][0]["result"]["partial_unexpected_list"][1] == 3


def test_what_a_renderer_cannot_take_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, 0, result(observed_value=["a"], unexpected_count=1, partial_unexpected_list=["a"]))
    [written] = newest(tmp_path)
    assert renderable(written)["results"][0]["result"] == {"observed_value": ["a"]}


def test_of_each_gate_the_newest_results_are_taken_and_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    for number in range(5):
        keep(tmp_path, number, result())
    (tmp_path / "shop" / "lake" / "2026-03-08T12-00-09.000000Z.json").write_text("{")
    assert [each.decided["id"] for each in newest(tmp_path, most=3)] == ["id3", "id4"]


def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere() -> None:
    page = (
        '<head><link rel="stylesheet" href="https://cdn.example/a.css"><style>b{background:url("https://x/y.png")}</style>'
        '<script src="//cdn.example/a.js"></script></head><body onload="go()"><img alt="" src="https://x/logo.png">'
        '<a href="../index.html">Home</a><script>go()</script><footer>News</footer></body>'
    )
    found = cleaned(page, up=2)
    assert "cdn" not in found
    assert "https:" not in found
    assert "script" not in found
    assert "onload" not in found
    assert '<a href="../index.html">Home</a>' in found
    assert '<link rel="stylesheet" href="../../tidegate.css">' in found


def test_the_first_page_lists_verdicts_and_escapes_what_they_say(tmp_path: Path) -> None:
    keep(tmp_path, 0, result(), subject=NASTY)
    found = index([(each, "validations/a b.html") for each in newest(tmp_path)], NOW)
    assert "2026-03-08 12:00:00 UTC" in found
    assert 'id="shop-lake"' in found
    assert "diverted" in found
    assert "<script" not in found


@pytest.mark.parametrize(
    ("look", "due"),
    [
        (Look(None, None, 1e9, is_watched=True), False),
        (Look(5.0, None, 1e9, is_watched=False), True),
        (Look(5.0, 5.0, 1e9, is_watched=True), False),
        (Look(6.0, 5.0, WATCHED_EVERY_S - 1, is_watched=True), False),
        (Look(6.0, 5.0, WATCHED_EVERY_S, is_watched=True), True),
        (Look(6.0, 5.0, WATCHED_EVERY_S, is_watched=False), False),
        (Look(6.0, 5.0, UNWATCHED_EVERY_S, is_watched=False), True),
    ],
    ids=["nothing-yet", "the-first", "nothing-new", "too-soon", "watched", "not-watched", "not-watched-for-long"],
)
def test_the_site_is_built_when_there_is_something_new_and_more_often_while_somebody_looks(
    look: Look, due: bool
) -> None:  # noqa: FBT001 (a row)
    assert is_due(look) is due


@pytest.fixture
def built(tmp_path: Path) -> Path:
    site = tmp_path / "docs" / "20260308T120000000000"
    (site / "validations" / "a b").mkdir(parents=True)
    (site / "index.html").write_text("<h1>Data Docs</h1>")
    (site / "validations" / "a b" / "c.html").write_text("page")
    (site / "site.json").write_text(json.dumps({"built_at": NOW.isoformat(), "results": 3, "took_s": 7.5}))
    (tmp_path / "docs" / "secret.html").write_text("secret")
    (tmp_path / "docs" / "20260308T130000000000.part").mkdir()
    return site


def test_pages_are_served_with_a_policy_and_nothing_outside_of_the_site_is(built: Path, tmp_path: Path) -> None:
    api = FastAPI()
    add_docs(api, Site(tmp_path / "results", built.parent))
    client = TestClient(api)
    answer = client.get("/api/v1/quality/docs/index.html")
    assert (answer.status_code, answer.headers["content-security-policy"]) == (200, POLICY)
    assert client.get("/api/v1/quality/docs/validations/a%20b/c.html").text == "page"
    for path in ("../secret.html", "%2e%2e/secret.html", "..%2fsecret.html", "/etc/passwd", "site.json", "none.html"):
        assert client.get(f"/api/v1/quality/docs/{path}").status_code == 404, path
    assert client.get("/api/v1/quality/docs/state").json()["results"] == 3


@pytest.mark.parametrize("path", ["../secret.html", "validations/../../secret.html", "/etc/hosts", "a\0.html", "."])
def test_an_address_leads_nowhere_but_below_the_site(built: Path, path: str) -> None:
    assert file_of(built, path) is None


def test_a_link_out_of_the_site_is_not_followed(built: Path) -> None:
    (built / "out.html").symlink_to(built.parent / "secret.html")
    assert file_of(built, "out.html") is None


def test_while_there_is_no_site_the_reason_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path / "results", tmp_path / "docs")
    assert (site.state()["built_at"], site.state()["reason"]) == (None, "no gate has judged yet")
    keep(tmp_path / "results", 0, result())
    assert site.state()["reason"] == "being built"
