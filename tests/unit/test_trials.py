"""What is tried, in which pieces, and what is kept of a folder that somebody sends; a bad one leaves nothing behind."""

from __future__ import annotations

import base64
import itertools
import shutil
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.access import STREAMS_HEADER, USER_HEADER
from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.trial_verdict import differing
from controlplane.contract.trials import (
    FOLDERS_PATH,
    MOST_BYTES,
    ColumnCompared,
    CostCompared,
    Definition,
    EntityCompared,
    MeasureCompared,
    RollupCompared,
    RowsCompared,
    SideCost,
    TrialFound,
)
from pipeline.operate.kind import RefusedError
from pipeline.trial.asked import checked, folder_of, scratch_of
from pipeline.trial.serve import router
from pipeline.trial.source import days_of, pieces_of

if TYPE_CHECKING:
    from pathlib import Path

FIRST = date(2013, 1, 1)
AT = datetime(2013, 1, 1, tzinfo=UTC)
SHOP_ONLY = {USER_HEADER: "ana", STREAMS_HEADER: "shop"}


@given(st.dictionaries(st.integers(0, 400), st.integers(1, 200_000), min_size=1), st.integers(1, 8))
def test_pieces_cover_the_window_once_without_a_gap(rows: dict[int, int], most: int) -> None:
    days = tuple((date.fromordinal(FIRST.toordinal() + day), count) for day, count in sorted(rows.items()))
    last = date(2014, 3, 1)
    pieces = pieces_of(days, FIRST, last, most)
    assert (pieces[0].first, pieces[-1].last) == (FIRST, last)
    assert all(piece.first <= piece.last for piece in pieces)
    assert all((after.first - before.last).days == 1 for before, after in itertools.pairwise(pieces))
    assert len(pieces) <= most
    for piece in pieces:
        assert piece.rows == sum(count for day, count in days if piece.first <= day <= piece.last)


def test_a_window_that_ends_at_midnight_does_not_read_the_next_day() -> None:
    found = days_of(datetime(2013, 1, 1, 12, tzinfo=UTC), datetime(2013, 1, 3, tzinfo=UTC))
    assert found == (date(2013, 1, 1), date(2013, 1, 2))


def files_of(folder: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            name, content = file.relative_to(folder).as_posix(), file.read_bytes()
            is_text = file.suffix != ".parquet"
            found[name] = {"text": content.decode()} if is_text else {"base64": base64.b64encode(content).decode()}
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


@pytest.fixture
def api(settings: Settings) -> TestClient:
    app = FastAPI()
    app.include_router(router(settings, lambda _: ()))
    return TestClient(app)


def test_a_folder_that_is_sent_is_found_by_a_trial(api: TestClient, settings: Settings) -> None:
    body = {"stream": "flights", "files": files_of(SHIPPED_STREAMS / "flights")}
    taken = [api.post(FOLDERS_PATH, json=body).json() for _ in range(2)]
    assert taken[0] == taken[1], "the same folder is there once"
    folder = folder_of(taken[0]["folder"], "flights", settings)
    assert checked(folder, lambda _: ()).enrich == load_stream(SHIPPED_STREAMS / "flights").enrich


def _broken(files: dict[str, Any]) -> None:
    text = files["stream.yaml"]["text"].replace("key: [tailnum, origin]", "key: [nobody]").replace("capacity", "x")
    files["stream.yaml"] = {"text": text}
    files["suite.json"] = {
        "text": files["suite.json"]["text"].replace("expect_column_values_to_be_in_set", "expect_no", 1)
    }


MISTAKES: dict[str, Any] = {
    "every-mistake-of-a-bad-folder": (_broken, ["'nobody'", "expect_no"]),
    "a-path-that-leads-elsewhere": (
        lambda files: files.update({"../../secrets": {"text": ""}}),
        ["../../secrets", "no file"],
    ),
    "a-file-that-is-no-base64": (
        lambda files: files.update({"reference/a.parquet": {"base64": "%"}}),
        ["reference/a.parquet"],
    ),
    "a-folder-that-is-too-large": (
        lambda files: files.update({"reference/a.csv": {"text": "x" * (MOST_BYTES + 1)}}),
        ["at most"],
    ),
    "a-folder-without-a-schema": (lambda files: files.pop("schema.avsc"), ["schema.avsc", "no such file"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_folder_is_refused_by_file_and_field(case: str, api: TestClient, settings: Settings) -> None:
    spoil, said = MISTAKES[case]
    files = files_of(SHIPPED_STREAMS / "flights")
    spoil(files)
    answer = api.post(FOLDERS_PATH, json={"stream": "flights", "files": files})
    assert answer.status_code == 422
    assert all(each in answer.json()["detail"] for each in said), answer.json()["detail"]
    assert all({"file", "field", "what", "fix"} == set(each) for each in answer.json()["mistakes"])
    assert not list(settings.trials_root.glob("*")), "nothing of it stays"


def test_who_has_no_right_to_a_stream_sends_no_folder_of_it(api: TestClient, settings: Settings) -> None:
    body = {"stream": "flights", "files": files_of(SHIPPED_STREAMS / "flights")}
    answer = api.post(FOLDERS_PATH, json=body, headers=SHOP_ONLY)
    assert (answer.status_code, answer.json()["detail"]) == (403, "ana may not do that to flights")
    assert not settings.trials_root.exists()


def test_a_folder_of_no_stream_is_refused(api: TestClient) -> None:
    answer = api.post(FOLDERS_PATH, json={"stream": "trains", "files": {}})
    assert (answer.status_code, "there is no stream 'trains'" in answer.json()["detail"]) == (422, True)


OUTSIDE = {"an-absolute-path": "/etc", "a-path-that-climbs": "../../../etc", "a-link": "linked/flights"}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_folder_outside_of_the_roots_is_not_read(case: str, settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED_STREAMS / "flights", tmp_path / "outside" / "flights")
    settings.trials_root.mkdir(parents=True)
    (settings.trials_root / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedError, match="is no folder below"):
        folder_of(OUTSIDE[case], "flights", settings)


def test_a_folder_of_another_name_is_refused(settings: Settings) -> None:
    with pytest.raises(RefusedError, match="the folder is named shop"):
        folder_of(str(SHIPPED_STREAMS / "shop"), "flights", settings)


def test_a_trial_is_discarded_once_and_only_when_it_has_ended(api: TestClient, settings: Settings) -> None:
    scratch = scratch_of(settings, "t1")
    scratch.mkdir(parents=True)
    assert api.delete("/api/v1/trials/t1").status_code == 409
    assert api.get("/api/v1/trials/t1").status_code == 404
    (scratch / "result.json").write_text('{"stream": "flights"}')
    assert api.get("/api/v1/trials/t1").json() == {"stream": "flights"}
    assert api.delete("/api/v1/trials/t1", headers=SHOP_ONLY).status_code == 403
    assert api.delete("/api/v1/trials/t1").status_code == 204
    assert not scratch.exists()
    assert api.delete("/api/v1/trials/t1").status_code == 404
    assert api.delete("/api/v1/trials/folders").status_code in (404, 405)


def test_what_differs_is_said_in_a_sentence_each() -> None:
    cost = SideCost(events=1, cpu_s=1, took_s=1, files=1, bytes=1)
    measure = MeasureCompared(measure="flights", differ=3, of=8)
    nothing = TrialFound(
        stream="flights", since=AT, until=AT, version=1, rejects_version=None,
        today=Definition(digest="a", suites={}), changed=Definition(digest="b", suites={}), schemas=(),
        rows=RowsCompared(history=9, rejects=None, today=9, changed=9, both=9, only_today=0, only_changed=0),
        columns=(ColumnCompared(column="airline", differ=0, of=9),),
        rollups=(RollupCompared(rollup="daily", today=8, changed=8, both=8, measures=(measure.model_copy(update={"differ": 0}),)),),
        entities=(EntityCompared(entity="plane", today=4, changed=4, both=4),),
        cost=CostCompared(turns=2, today=cost, changed=cost.model_copy(update={"cpu_s": 9})),
    )  # fmt: skip
    assert differing(nothing) == (), "cost alone is no difference: two runs of the same cost differently"
    some = nothing.model_copy(
        update={
            "rows": nothing.rows.model_copy(update={"only_changed": 2}),
            "columns": (ColumnCompared(column="airline", differ=4, of=9),),
            "rollups": (
                RollupCompared(rollup="daily", today=9, changed=8, both=8, only_today=1, measures=(measure,)),
                RollupCompared(rollup="new", today=None, changed=3, note="only changed has it"),
            ),
            "entities": (EntityCompared(entity="plane", today=4, changed=4, both=4, differ=1),),
        }
    )
    assert differing(some) == (
        "2 rows are let through by changed alone, and not by today",
        "`airline` differs in 4 of 9 rows",
        "rollup `daily`: 1 windows are there on one side only; `flights` differs in 3 of 8 windows",
        "rollup `new`: only changed has it",
        "entity `plane`: 1 of 4 differ",
    )
