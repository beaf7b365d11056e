"""Is this folder a stream? Reads one whole and names every mistake at once, with file, field and what to do."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from controlplane.contract.gates import Stage
from controlplane.contract.names import is_ours, serving_relations
from controlplane.contract.rollups import OWN_COLUMNS
from controlplane.contract.rule_types import type_misfits
from controlplane.contract.rules import columns_of
from controlplane.contract.settings import PROBE_STREAM
from controlplane.contract.streams import StreamDefinition, StreamDocument
from controlplane.contract.suites import STAGES, row_rules
from controlplane.contract.valid import base_type, can_equal, reference_columns, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from controlplane.contract.settings import Settings

SUITE_FILE = "suite.json"
"""In a stream's folder: Great Expectations' own JSON of a suite, by stage."""
_NUMBERS = ("int", "long", "float", "double")
_TIMES = ("timestamp-millis", "timestamp-micros")
_DIMENSIONS = ("string", "enum", "boolean", "int", "long", "date")
_SUPPORTED = ("string", "boolean", "date", "enum", *_NUMBERS, *_TIMES)


@dataclass(frozen=True)
class Problem:
    """One mistake in a stream folder."""

    file: str
    field: str
    what: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.field}" if self.field else self.file
        return f"{where}: {self.what}; {self.fix}"


class StreamInvalidError(Exception):
    """A stream folder with mistakes: all of them."""

    def __init__(self, folder: Path, problems: Sequence[Problem]) -> None:
        self.folder, self.problems = folder, tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{folder} is not a valid stream, {len(problems)} mistake(s):\n{lines}")


def load_streams(roots: Sequence[Path]) -> list[StreamDefinition]:
    """Every stream in the sub-folders of the roots, by name; those of the last of several roots win.

    Raises:
        StreamInvalidError: for the first folder with mistakes, or two folders of one name.
    """
    streams: dict[str, StreamDefinition] = {}
    for folder in stream_folders(roots):
        home = roots[-1] / folder.name if len(roots) > 1 else None
        stream = load_stream(folder).model_copy(update={"home": home})
        if stream.name in streams:
            other = streams[stream.name].folder
            raise StreamInvalidError(
                folder, [Problem("stream.yaml", "", f"{other} has the same name", "rename one of the folders")]
            )
        streams[stream.name] = stream
    return [streams[name] for name in sorted(streams)]


def load_probe(settings: Settings) -> StreamDefinition | None:
    """The stream of probes; None while they are off."""
    return load_stream(PROBE_STREAM) if settings.probes == "on" else None


def load_with_probe(settings: Settings) -> list[StreamDefinition]:
    """Every stream, and that of the probes: for the parts whose way a probe goes."""
    probe = load_probe(settings)
    return [*load_streams(settings.stream_roots), *([] if probe is None else [probe])]


def stream_folders(roots: Sequence[Path]) -> list[Path]:
    """Folders below the roots that hold a `stream.yaml`; one in the last of several takes the place of one of its name before."""
    by_root = [[file.parent for file in sorted(root.glob("*/stream.yaml"))] for root in roots]
    wins = {folder.name for folder in by_root[-1]} if len(by_root) > 1 else set()
    kept = [folder for folders in by_root[:-1] for folder in folders if folder.name not in wins]
    return [*kept, *(by_root[-1] if by_root else ())]


def load_stream(folder: Path) -> StreamDefinition:
    """Read and check one stream folder; its name is the folder's.

    Raises:
        StreamInvalidError: with every mistake in it.
    """
    problems: list[Problem] = []
    document = _document(folder, problems)
    schema = _schema(folder, problems)
    suites = _suites(folder, problems)
    rules, mistakes = row_rules(suites.get("ingest", {}))
    problems.extend(Problem(SUITE_FILE, *mistake) for mistake in mistakes)
    stream: StreamDefinition | None = None
    if document is not None and schema is not None:
        stream = _assemble(folder, document, schema, suites, rules, problems)
    if stream is not None:
        problems.extend(_misfits(stream))
    if problems or stream is None:
        raise StreamInvalidError(folder, problems)
    return stream


def _assemble(  # noqa: PLR0913 (the parts of a folder)
    folder: Path,
    document: StreamDocument,
    schema: dict[str, Any],
    suites: dict[str, Any],
    rules: tuple[Any, ...],
    problems: list[Problem],
) -> StreamDefinition | None:
    try:
        return StreamDefinition(
            name=folder.resolve().name,
            folder=folder.resolve(),
            avro_schema=schema,
            row_rules=rules,
            suites={stage: suites[stage] for stage in Stage if isinstance(suites.get(stage), dict)},
            **dict(document),
        )
    except ValidationError as error:
        problems.extend(_from_pydantic(str(folder), error))
        return None


class _StreamLoader(yaml.SafeLoader):
    """YAML as people mean it: a key given twice is refused, and only true and false are booleans.

    YAML 1.1 also reads `on`, `no` and `NO` as booleans, which would turn a join's `on` and Norway into something else.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own class attribute, rebuilt for this loader)
        letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"{key!r} is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_StreamLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def _document(folder: Path, problems: list[Problem]) -> StreamDocument | None:
    text = _read(folder, "stream.yaml", problems)
    if text is None:
        return None
    try:
        return StreamDocument.model_validate(yaml.load(text, Loader=_StreamLoader) or {})  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problems.append(Problem("stream.yaml", line, str(error.problem), "mend the YAML"))
    except ValidationError as error:
        problems.extend(_from_pydantic("stream.yaml", error))
    return None


def _from_pydantic(file: str, error: ValidationError) -> Iterator[Problem]:
    for mistake in error.errors():
        field = ".".join(str(part) for part in mistake["loc"])
        fix = "remove it or correct its name" if mistake["type"] == "extra_forbidden" else "correct it"
        yield Problem(file, field, mistake["msg"].removeprefix("Value error, "), fix)


def _schema(folder: Path, problems: list[Problem]) -> dict[str, Any] | None:
    schema = _json(folder, "schema.avsc", problems)
    if schema is None:
        return None
    if not isinstance(schema, dict) or schema.get("type") != "record" or not schema.get("fields"):
        problems.append(Problem("schema.avsc", "", "not an Avro record with fields", "make the top level a record"))
        return None
    before = len(problems)
    for field in schema["fields"]:
        problems.extend(_field_problems(field))
    return None if any("no name" in problem.what for problem in problems[before:]) else schema


def _field_problems(field: Any) -> Iterator[Problem]:  # noqa: ANN401 (whatever the JSON holds)
    if not isinstance(field, dict) or "name" not in field or "type" not in field:
        yield Problem("schema.avsc", str(field), "a field with no name or no type", "give it both")
        return
    if is_ours(field["name"]):
        yield Problem("schema.avsc", field["name"], "a column of Tidegate's own is called so", "rename the field")
    if type_name(field["type"]) not in _SUPPORTED:
        yield Problem(
            "schema.avsc",
            field["name"],
            f"type {type_name(field['type'])} is not supported",
            "use one of " + ", ".join(_SUPPORTED) + ', or ["null", one of these]',
        )


def _suites(folder: Path, problems: list[Problem]) -> dict[str, Any]:
    suites = _json(folder, SUITE_FILE, problems)
    if suites is None:
        return {}
    if not isinstance(suites, dict):
        problems.append(Problem(SUITE_FILE, "", "not an object", "write one suite a stage: " + ", ".join(STAGES)))
        return {}
    problems.extend(
        Problem(SUITE_FILE, stage, "no such stage", "use " + ", ".join(STAGES))
        for stage in sorted(set(suites) - set(STAGES))
    )
    return suites


def _json(folder: Path, name: str, problems: list[Problem]) -> Any:  # noqa: ANN401 (whatever the JSON holds)
    text = _read(folder, name, problems)
    if text is None:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problems.append(Problem(name, f"line {error.lineno}", error.msg, "mend the JSON"))
        return None


def _read(folder: Path, name: str, problems: list[Problem]) -> str | None:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        problems.append(Problem(name, "", what, "a stream folder has stream.yaml, schema.avsc and suite.json"))
        return None


def _misfits(stream: StreamDefinition) -> Iterator[Problem]:
    """Mistakes that only show when the parts of a folder are held against each other."""
    fields = {field["name"]: field["type"] for field in stream.avro_schema["fields"]}
    yield from _key_misfits(stream, fields)
    for rule in stream.row_rules:
        where, missing = f"ingest rule {rule.name}", set(columns_of(rule)) - fields.keys()
        yield from _missing(SUITE_FILE, where, columns_of(rule), fields)
        if not missing:
            yield from (Problem(SUITE_FILE, where, *misfit) for misfit in type_misfits(rule, fields))
    everything = dict(fields)
    for number, _ in enumerate(stream.enrich):
        yield from _enrichment_misfits(stream, number, everything)
    yield from _rollup_misfits(stream, everything)
    for name, entity in stream.entities.items():
        where = f"entities.{name}"
        wanted = (*entity.key, entity.ordering, *entity.deleted_when, *entity.cluster_by)
        yield from _missing("stream.yaml", where, wanted, everything)
        yield from _where_misfits(entity.deleted_when, f"{where}.deleted_when", everything)
    yield from _missing("stream.yaml", "maintenance.cluster_by", stream.maintenance.cluster_by, everything)


def _missing(file: str, where: str, names: Iterable[str], fields: dict[str, Any]) -> Iterator[Problem]:
    for name in names:
        if name not in fields:
            yield Problem(file, where, f"there is no field {name!r}", "use one of " + ", ".join(fields))


def _key_misfits(stream: StreamDefinition, fields: dict[str, Any]) -> Iterator[Problem]:
    yield from _missing("stream.yaml", "key", stream.key, fields)
    time_field = stream.event_time.field
    yield from _missing("stream.yaml", "event_time.field", [time_field], fields)
    if time_field in fields:
        written = fields[time_field]
        if type_name(written) not in _TIMES or base_type(written)[1]:
            yield Problem(
                "stream.yaml",
                "event_time.field",
                f"{time_field!r} is {type_name(written)}{' or null' if base_type(written)[1] else ''}",
                "an event time is a timestamp-millis or timestamp-micros that is never null",
            )


def _enrichment_misfits(stream: StreamDefinition, number: int, fields: dict[str, Any]) -> Iterator[Problem]:
    enrichment, where = stream.enrich[number], f"enrich.{number}"
    try:
        file = stream.reference_file(enrichment.reference)
        columns = reference_columns(file)
    except (OSError, ValueError) as error:
        yield Problem("stream.yaml", where, str(error), "add the table or correct its name")
        return
    yield from _missing("stream.yaml", f"{where}.on", enrichment.on, fields)
    for column in (*enrichment.on.values(), *enrichment.take.values()):
        if column not in columns:
            yield Problem(f"reference/{file.name}", column, "no such column", "use one of " + ", ".join(columns))
    for field, column in enrichment.take.items():
        if field in fields or is_ours(field):
            yield Problem(
                "stream.yaml", f"{where}.take.{field}", "there is a column of this name", "choose another name"
            )
        fields[field] = ["null", columns.get(column, "string")]
    yield from _repeated_keys(file, enrichment.on.values(), columns)


def _repeated_keys(file: Path, keys: Iterable[str], columns: dict[str, str]) -> Iterator[Problem]:
    names = [key for key in keys if key in columns]
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [tuple(row[name] for name in names) for row in csv.DictReader(lines)]
    else:
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as table:  # `read_table` would import pandas, 28 MiB in each part
            rows = [tuple(row.values()) for row in table.read(columns=names).to_pylist()]
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        if row in seen:
            yield Problem(
                f"reference/{file.name}",
                ", ".join(names),
                f"{row!r} is there twice",
                "a join key must be unique, or events would be doubled",
            )
            return
        seen.add(row)


def _where_misfits(kept: Mapping[str, Sequence[Any]], where: str, fields: dict[str, Any]) -> Iterator[Problem]:
    for name, values in kept.items():
        for value in values:
            if name in fields and not can_equal(value, fields[name]):
                what = f"{value!r} is not a {type_name(fields[name])}"
                yield Problem("stream.yaml", f"{where}.{name}", what, "compare a field with values of its type")


def _dimension_misfits(names: Iterable[str], where: str, fields: dict[str, Any]) -> Iterator[Problem]:
    """ClickHouse and Spark write such values alike; fractions and moments they do not."""
    for name in names:
        if name in fields and (kind := type_name(fields[name])) not in _DIMENSIONS:
            yield Problem(
                "stream.yaml", f"{where}.dimensions", f"{name!r} is {kind}", "use one of " + ", ".join(_DIMENSIONS)
            )


def _rollup_misfits(stream: StreamDefinition, fields: dict[str, Any]) -> Iterator[Problem]:
    owners = dict.fromkeys(serving_relations(stream.name, None), "the stream itself")
    for name, rollup in stream.rollups.items():
        where = f"rollups.{name}"
        for relation in serving_relations(stream.name, name):
            if (owner := owners.setdefault(relation, where)) != where:
                what = f"its table {relation} in ClickHouse would be that of {owner}"
                yield Problem("stream.yaml", where, what, "give the rollup another name")
        yield from _where_misfits(rollup.where, f"{where}.where", fields)
        yield from _dimension_misfits(rollup.dimensions, where, fields)
        yield from _missing("stream.yaml", f"{where}.dimensions", rollup.dimensions, fields)
        yield from _missing("stream.yaml", f"{where}.where", rollup.where, fields)
        taken = set(rollup.dimensions) & set(rollup.measures) | OWN_COLUMNS & {*rollup.dimensions, *rollup.measures}
        for clash in sorted(taken):
            yield Problem("stream.yaml", where, f"{clash!r} names two columns", "give each column a name of its own")
        for measure_name, measure in rollup.measures.items():
            place = f"{where}.measures.{measure_name}"
            if measure.field is None:
                continue
            yield from _missing("stream.yaml", place, [measure.field], fields)
            kind = type_name(fields.get(measure.field, "double"))
            if measure.function != "distinct" and kind not in _NUMBERS:
                yield Problem(
                    "stream.yaml", place, f"{measure.function} of {measure.field!r}, a {kind}", "measure a number"
                )
