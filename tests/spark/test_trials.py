"""Are a trial's figures pandas' own? Real flights, a changed rule and enrichment; an unchanged folder differs in nothing."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fastavro
import pandas as pd
import pytest
import yaml
from deltalake import DeltaTable

from controlplane.contract.backfills import TrialAsked
from controlplane.contract.folders import load_stream
from controlplane.contract.names import REJECTS, lake_table
from controlplane.contract.operations import Kind, Operation, OperationState
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.contract.trials import TrialFound
from pipeline.backfill.again import Again
from pipeline.feed.flights import table
from pipeline.lake.append import write_events
from pipeline.operate.kind import RefusedError, StaleError
from pipeline.registry import Learned
from pipeline.trial.kind import TrialKind
from quality.compile import broken_rules
from quality.gate import ExpectationsGate
from quality.results import Results

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition

SINCE, UNTIL = datetime(2013, 1, 1, 12, tzinfo=UTC), datetime(2013, 1, 4, tzinfo=UTC)
RAW_ID = 1
FARTHEST = 2400
REPLAYED = 400
"""A flight that was turned away, and has come in another way since."""
KAFKA_ROW = "key binary, value binary, partition int, offset bigint, timestamp timestamp"


@dataclass
class Doing:
    """What a worker gives a stage, as far as a trial asks for it."""

    spark: SparkSession
    settings: Settings
    operation: Operation
    results: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def stream(self) -> StreamDefinition:
        return load_stream(today_folder(self.settings))

    def session(self) -> SparkSession:
        return self.spark

    def check(self) -> None: ...

    def progress(self, done: int, total: int | None = None, unit: str = "", note: str = "") -> None: ...

    def log(self, text: str) -> None: ...

    def result_of(self, key: str) -> Mapping[str, Any]:
        return self.results.get(key, {})

    def report(self, *facts: Any) -> None: ...


def today_folder(settings: Settings) -> Path:
    return settings.promoted_streams / "flights"


def keep_today(settings: Settings) -> None:
    """The shipped folder with one join and one rollup: what is compiled for the others is the same, and takes its time."""
    folder = today_folder(settings)
    shutil.copytree(SHIPPED_STREAMS / "flights", folder)
    written = yaml.safe_load((folder / "stream.yaml").read_text().replace(" on: {", " 'on': {"))
    written["enrich"] = written["enrich"][:1]
    written["rollups"] = {"by_carrier": written["rollups"]["by_carrier"]}
    (folder / "stream.yaml").write_text(yaml.safe_dump(written))
    suites = json.loads((folder / "suite.json").read_text())
    for stage in ("rollup", "serving"):
        rules = suites[stage]["expectations"]
        suites[stage]["expectations"] = [each for each in rules if each["meta"].get("table") in (None, "by_carrier")]
    (folder / "suite.json").write_text(json.dumps(suites, indent=1))


def flights() -> pd.DataFrame:
    """Of the first days; every fortieth has a carrier in small letters, which today's rule does not let through."""
    found = table()
    found = found[found["scheduled_at"] < pd.Timestamp("2013-01-04", tz="UTC")].copy()
    found.loc[found["id"] % 40 == 0, "carrier"] = found["carrier"].str.lower()
    return found


def written(stream: StreamDefinition, row: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(stream.avro_schema)), row)
    return b"\x00" + RAW_ID.to_bytes(4, "big") + body.getvalue()


def learned(_: Settings, stream: StreamDefinition) -> Learned:
    return Learned(stream, {RAW_ID: json.dumps(stream.avro_schema)}, {}, (), frozenset())


def settled(*_: Any) -> frozenset[str]:
    return frozenset({f"quarantine:0:{REPLAYED}"})


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What route, lake and quality have made of the flights."""
    settings = Settings(data=tmp_path_factory.mktemp("trials"))
    keep_today(settings)
    stream = load_stream(today_folder(settings))
    plain = flights().astype(object)
    plain = plain.where(plain.notna(), None)
    rows = [
        (
            b"k",
            bytearray(written(stream, {**row, "scheduled_at": row["scheduled_at"].to_pydatetime()})),
            0,
            row["id"],
            UNTIL,
        )
        for row in plain.to_dict("records")
    ]
    again = Again.of(spark, stream, broken_rules)
    raw = spark.createDataFrame(rows, KAFKA_ROW)
    made = again.of_records(raw, {RAW_ID: json.dumps(stream.avro_schema)}).persist()
    write_events(again.rows(made), stream, lake_table(settings.lake_root, "flights"), files=1)
    away = made.where("reason is not null").select("tg_offset")
    kept = raw.join(away, raw["offset"] == away["tg_offset"]).selectExpr(
        "concat('quarantine:0:', offset) AS id", "key", "value", "partition AS tg_partition", "offset AS tg_offset",
        "timestamp AS seen_at",
    )  # fmt: skip
    kept.write.format("delta").save(lake_table(settings.lake_root, "flights", REJECTS))
    made.unpersist()
    return settings


def changed_folder(settings: Settings, name: str = "changed") -> Path:
    """Flights are shorter, carriers may be in small letters, and one airline has another name."""
    folder = settings.trials_root / name / "flights"
    shutil.copytree(today_folder(settings), folder)
    suite = (folder / "suite.json").read_text()
    suite = suite.replace('"max_value": 6000', f'"max_value": {FARTHEST}').replace("^[A-Z0-9]{2}$", "^[A-Za-z0-9]{2}$")
    (folder / "suite.json").write_text(suite)
    airlines = folder / "reference" / "airlines.csv"
    airlines.write_text(airlines.read_text().replace("United Air Lines Inc.", "United"))
    return folder


def doing(spark: SparkSession, settings: Settings, folder: str, **more: Any) -> Doing:
    asked = TrialAsked(**{"stream": "flights", "folder": folder, "since": SINCE, "until": UNTIL, "examples": 5, **more})
    now = datetime.now(UTC)
    operation = Operation(
        id=folder.replace("/", "-"), kind=Kind.TRIAL, stream="flights", asked=asked.model_dump(mode="json"), by="test",
        at=now, changed_at=now, state=OperationState.PLANNING,
    )  # fmt: skip
    return Doing(spark, settings, operation)


def kind(settings: Settings) -> TrialKind:
    return TrialKind(broken_rules, ExpectationsGate(Results(settings.data / "results")), lambda _: (), learned, settled)


def run(work: Doing) -> TrialFound:
    """Plan, confirm, run every stage."""
    trial = kind(work.settings)
    plan = trial.plan(work)
    work.operation = work.operation.model_copy(update={"plan": plan})
    trial.confirm_basis(work)
    for stage in plan.stages:
        work.results[stage.key] = trial.does[stage.does](work, stage)
    return TrialFound.model_validate(work.results["compare"])


def test_a_changed_rule_and_a_changed_enrichment_differ_by_what_pandas_says(
    spark: SparkSession, lake: Settings
) -> None:
    changed_folder(lake)
    before = DeltaTable(lake_table(lake.lake_root, "flights")).version()
    found = run(doing(spark, lake, "changed/flights"))
    assert DeltaTable(lake_table(lake.lake_root, "flights")).version() == before, "no live table is touched"

    mine = flights()
    mine = mine[(mine["scheduled_at"] >= SINCE) & (mine["scheduled_at"] < UNTIL)]
    assert REPLAYED in set(mine.loc[mine["carrier"].str.islower(), "id"])
    mine = mine[mine["id"] != REPLAYED]
    small = mine["carrier"].str.islower()
    today, changed = mine[~small], mine[mine["distance"] <= FARTHEST]
    both = today[today["distance"] <= FARTHEST]
    rows = found.rows
    assert (rows.history, rows.rejects) == (len(today), int(small.sum()))
    assert (rows.today, rows.changed, rows.both) == (len(today), len(changed), len(both))
    assert (rows.only_today, rows.only_changed) == (len(today) - len(both), len(changed) - len(both))
    rules = {each.rule: (each.today, each.changed) for each in rows.rules}
    assert rules["carrier_code"] == (int(small.sum()), 0)
    assert rules["distance_flown"] == (0, int((mine["distance"] > FARTHEST).sum()))
    why = {(each.accepted_by, each.because) for each in rows.examples}
    assert why == {("today", "distance_flown"), ("changed", "carrier_code")}

    differ = {each.column: each.differ for each in found.columns}
    united = both["carrier"] == "UA"
    assert differ["airline"] == int(united.sum()) > 0
    assert {name for name, count in differ.items() if count} == {"airline"}
    [example, *_] = next(each.examples for each in found.columns if each.column == "airline")
    assert (example.today, example.changed) == ("United Air Lines Inc.", "United")
    assert example.at == both[united]["scheduled_at"].min()

    by = [mine["scheduled_at"].dt.floor("D").rename("start"), "carrier"]
    windows = [
        each.groupby(by, dropna=False).agg(flights=("id", "size"), miles=("distance", "sum"))
        for each in (today, changed)
    ]
    joined = windows[0].join(windows[1], how="outer", lsuffix="_t", rsuffix="_c")
    there = joined.dropna()
    rollup = next(each for each in found.rollups if each.rollup == "by_carrier")
    assert (rollup.today, rollup.changed, rollup.both) == (len(windows[0]), len(windows[1]), len(there))
    for measure in ("flights", "miles"):
        apart = (there[f"{measure}_t"] - there[f"{measure}_c"]).abs()
        said = next(each for each in rollup.measures if each.measure == measure)
        assert (said.differ, said.of, said.largest) == (int((apart > 0).sum()), len(there), apart.max()), measure
        assert abs(float(said.examples[0].today or 0) - float(said.examples[0].changed or 0)) == apart.max()

    plane = next(each for each in found.entities if each.entity == "plane")
    planes = [each.dropna(subset=["tailnum"])["tailnum"].nunique() for each in (today, changed)]
    assert (plane.today, plane.changed) == tuple(planes)
    for side, frame in ((found.cost.today, today), (found.cost.changed, changed)):
        assert side.cpu_s > 0
        assert (side.files > 0, side.bytes > 0) == (True, True), len(frame)
    assert any("airline" in each for each in found.differs)
    assert {each.stage for each in found.gates} >= {"lake"}
    kept = DeltaTable(found.tables["differences"]).to_pandas()
    assert len(kept) == int(united.sum())


def test_a_plan_is_stale_once_a_folder_has_changed(spark: SparkSession, lake: Settings) -> None:
    folder = lake.trials_root / "moving" / "flights"
    shutil.copytree(today_folder(lake), folder)
    work, trial = doing(spark, lake, "moving/flights"), kind(lake)
    work.operation = work.operation.model_copy(update={"plan": trial.plan(work)})
    trial.confirm_basis(work)
    (folder / "stream.yaml").write_text((folder / "stream.yaml").read_text() + "# another\n")
    with pytest.raises(StaleError, match="has changed since"):
        trial.confirm_basis(work)


def test_an_unchanged_folder_differs_in_nothing(spark: SparkSession, lake: Settings) -> None:
    shutil.copytree(today_folder(lake), lake.trials_root / "same" / "flights")
    found = run(doing(spark, lake, "same/flights"))
    assert found.differs == ()
    assert found.rows.both == found.rows.today == found.rows.changed > 0
    assert all(each.differ == 0 for each in found.columns)
    assert all(measure.differ == 0 for rollup in found.rollups for measure in rollup.measures)
    assert all(each.today == each.changed for each in found.gates)


REFUSED = {
    "a-folder-that-is-not-there": ({"folder": "nowhere/flights"}, "is no folder below"),
    "a-folder-outside-of-the-roots": ({"folder": "/etc"}, "is no folder below"),
    "a-window-without-events": (
        {"since": datetime(2015, 1, 1, tzinfo=UTC), "until": datetime(2015, 1, 2, tzinfo=UTC)},
        "has no events from 2015-01-01.*it has from 2013-01-01 to 2013-01-0",
    ),
    "a-window-that-ends-before-it-begins": ({"since": UNTIL, "until": SINCE}, "is not before"),
    "a-version-that-there-is-not": ({"version": 99}, "version 99 of .* cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_tried_is_refused(case: str, spark: SparkSession, lake: Settings) -> None:
    more, said = REFUSED[case]
    with pytest.raises(RefusedError, match=said):
        kind(lake).plan(doing(spark, lake, **{"folder": str(SHIPPED_STREAMS / "flights"), **more}))


def test_a_folder_with_mistakes_is_refused_with_file_and_field(spark: SparkSession, lake: Settings) -> None:
    folder = lake.trials_root / "bad" / "flights"
    shutil.copytree(SHIPPED_STREAMS / "flights", folder)
    (folder / "stream.yaml").write_text(
        (folder / "stream.yaml").read_text().replace("field: scheduled_at", "field: never")
    )
    with pytest.raises(RefusedError, match=r"stream\.yaml: event_time\.field: there is no field 'never'"):
        kind(lake).plan(doing(spark, lake, "bad/flights"))


def test_a_version_whose_files_were_vacuumed_is_refused(spark: SparkSession, lake: Settings, tmp_path: Path) -> None:
    shutil.copytree(lake_table(lake.lake_root, "flights"), tmp_path / "lake" / "flights" / "events")
    for file in (tmp_path / "lake").rglob("*.parquet"):
        file.unlink()
    gone = lake.model_copy(update={"lake": str(tmp_path / "lake")})
    with pytest.raises(RefusedError, match=r"was vacuumed: .* files in the window are gone"):
        kind(gone).plan(doing(spark, gone, str(SHIPPED_STREAMS / "flights")))
