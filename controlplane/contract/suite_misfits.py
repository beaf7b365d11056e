"""Do a stream's suites fit its stages? Each column is there where the suite is held, each table is a rollup, each name one rule's.

A running part does not ask this: it judges by what it has, and an expectation that cannot be evaluated is a configuration error
of its own. This is for whoever writes a suite, before anything runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.contract.folders import SUITE_FILE, Problem
from controlplane.contract.gates import Severity, Stage
from controlplane.contract.names import AS_OF, EVENT_DATE
from controlplane.contract.rollups import LATE, LAYER, WINDOW_END, WINDOW_START
from controlplane.contract.suites import rule_name, severity_of
from controlplane.contract.valid import valid_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from controlplane.contract.streams import StreamDefinition

_PARTS = ("type", "kwargs", "meta", "severity", "id", "notes", "description")
_TABLES_OF = (Stage.ROLLUP, Stage.SERVING)
_SINGLE, _LISTS = ("column", "column_A", "column_B"), ("column_list", "column_set")


def suite_problems(stream: StreamDefinition) -> Iterator[Problem]:
    """Every mistake in the suites of a stream whose folder is valid; what ingest compiles has been checked with the folder."""
    for stage, suite in stream.suites.items():
        given = suite.get("expectations", [])
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            yield Problem(SUITE_FILE, f"{stage}.expectations", "not a list of objects", "write one object a rule")
            continue
        names: dict[tuple[str, str | None], int] = {}
        for number, each in enumerate(given):
            where = f"{stage}.expectations[{number}]"
            yield from _written(where, each)
            if not isinstance(each.get("kwargs", {}), dict) or not isinstance(each.get("meta") or {}, dict):
                continue
            yield from _named_twice(where, each, names, number, stage)
            yield from _misfits(stream, stage, where, each)


def columns_at(stream: StreamDefinition, stage: Stage, table: str) -> set[str]:
    """What a suite can speak of: of `table` where the stage has rollups."""
    if stage is Stage.INGEST:
        return {each["name"] for each in stream.avro_schema["fields"]}
    if stage is Stage.LAKE:
        return {EVENT_DATE, *(each["name"] for each in valid_schema(stream)["fields"])}
    rollup = stream.rollups[table]
    own = {WINDOW_START, WINDOW_END, LATE, *({LAYER, AS_OF} if stage is Stage.SERVING else ())}
    return {*own, *rollup.dimensions, *rollup.measures}


def _written(where: str, each: Mapping[str, Any]) -> Iterator[Problem]:
    for name in sorted(each.keys() - set(_PARTS)):
        yield Problem(SUITE_FILE, f"{where}.{name}", "an expectation has no such part", f"use {', '.join(_PARTS)}")
    for name in ("kwargs", "meta"):
        if not isinstance(each.get(name) or {}, dict):
            yield Problem(SUITE_FILE, f"{where}.{name}", "not an object", "write {}")
    try:
        severity_of(each if isinstance(each.get("meta") or {}, dict) else {**each, "meta": {}})
    except ValueError as error:
        yield Problem(SUITE_FILE, f"{where}.severity", str(error), f"use {', '.join(Severity)}")


def _named_twice(
    where: str, each: Mapping[str, Any], names: dict[tuple[str, str | None], int], number: int, stage: Stage
) -> Iterator[Problem]:
    name = (rule_name(each), _table(each))
    first = names.setdefault(name, number)
    if first != number and stage is not Stage.INGEST:  # of ingest the folder has said so
        what = f"a second rule is named {name[0]!r}, as {stage}.expectations[{first}] is"
        yield Problem(SUITE_FILE, where, what, "give it a name of its own in meta.name")


def _misfits(stream: StreamDefinition, stage: Stage, where: str, each: Mapping[str, Any]) -> Iterator[Problem]:
    table = _table(each)
    if table is not None and (stage not in _TABLES_OF or table not in stream.rollups):
        rollups = ", ".join(stream.rollups) or "none"
        fix = f"use one of {rollups}" if stage in _TABLES_OF else f"leave it out: {stage} has one table"
        yield Problem(SUITE_FILE, f"{where}.meta.table", f"there is no rollup {table!r} here", fix)
        return
    tables = [table] if table is not None else list(stream.rollups) if stage in _TABLES_OF else [""]
    for one in tables:
        there = columns_at(stream, stage, one)
        missing = [name for name in _columns(each.get("kwargs") or {}) if name not in there]
        if missing and stage is not Stage.INGEST:
            named = f"{stage} of {one}" if one else stage
            of = "; name one rollup in meta.table, or" if table is None and one else ""
            what = f"there is no column {', '.join(map(repr, missing))} at {named}"
            yield Problem(SUITE_FILE, where, what, f"{of} use one of {', '.join(sorted(there))}".strip("; "))
            return


def _table(each: Mapping[str, Any]) -> str | None:
    found = (each.get("meta") or {}).get("table")
    return None if found is None else str(found)


def _columns(kwargs: Mapping[str, Any]) -> list[str]:
    single = [kwargs[name] for name in _SINGLE if name in kwargs]
    lists = [column for name in _LISTS if isinstance(kwargs.get(name), list) for column in kwargs[name]]
    return [str(each) for each in (*single, *lists)]
