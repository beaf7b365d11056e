"""What is different between two versions of a schema, in words?

Each difference says which field, what kind of change, what it was and what it is, and whether the one version can still
read what was written with the other: that is what a registry refuses or lets through. Fields that carry an alias are the
same field. What is inside a record, an array or a map has a path: `address.city`, `tags[]`, `prices{}`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from controlplane.contract.changes import Change, Difference, Way, described, difference
from controlplane.contract.resolution import (
    PROMOTED,
    bare_name,
    can_read,
    has_enum_default,
    kind_of,
    lost_symbols,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[Difference, ...]:
    """Every difference between two record schemas, in the order of the later one's fields, then what is gone."""
    return tuple(_of_records("", before, after))


def _of_records(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    if bare_name(before) != bare_name(after):
        yield _name(path, before, after)
    prefix = f"{path}." if path else ""
    pairs = _pairs(before, after)
    gone = [field for field in before["fields"] if field["name"] not in {old["name"] for old, _ in pairs if old}]
    for old, new in pairs:
        if old is None:
            yield _added(prefix, new, gone)
        else:
            yield from _of_fields(prefix, old, new)
    for old in gone:
        yield _removed(prefix, old)


def _pairs(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """The later one's fields with what they were: of the same name first, then of an alias in either version."""
    same = {field["name"]: field for field in before["fields"]}
    kept = {field["name"] for field in after["fields"] if field["name"] in same}
    free = {name: field for name, field in same.items() if name not in kept}
    found: list[tuple[dict[str, Any] | None, dict[str, Any]]] = []
    for new in after["fields"]:
        old = same.get(new["name"]) or _renamed_from(new, free)
        if old is not None:
            free.pop(old["name"], None)
        found.append((old, new))
    return found


def _renamed_from(new: dict[str, Any], free: dict[str, Any]) -> dict[str, Any] | None:
    own = source_of(new, {"fields": list(free.values())})
    return own or next((old for old in free.values() if new["name"] in old.get("aliases", ())), None)


def _added(prefix: str, new: dict[str, Any], gone: Iterable[dict[str, Any]]) -> Difference:
    path, has_default = f"{prefix}{new['name']}", "default" in new
    how = f"with the default {_json(new['default'])}" if has_default else "without a default"
    advice = "give it a default"
    if alike := next((old["name"] for old in gone if can_read(old["type"], new["type"])), None):
        advice += f', or, if it is `{alike}` by another name, say so: "aliases": ["{alike}"]'
    return difference(
        path,
        Change.ADDED,
        (None, new),
        f"`{path}` is added as {described(new['type'])}, {how}",
        backward=None if has_default else advice,
    )


def _removed(prefix: str, old: dict[str, Any]) -> Difference:
    path, has_default = f"{prefix}{old['name']}", "default" in old
    how = "" if has_default else "; it had no default"
    advice = "keep it, or first register a version in which it has a default"
    sentence = f"`{path}` ({described(old['type'])}) is removed{how}"
    return difference(path, Change.REMOVED, (old, None), sentence, forward=None if has_default else advice)


def _of_fields(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    path = f"{prefix}{new['name']}"
    if old["name"] != new["name"]:
        yield _renamed(prefix, old, new)
    found = set(Way) if old["name"] == new["name"] else _ways_found(old, new)
    for each in _of_types(path, old["type"], new["type"]):
        # Who does not find the field under its other name takes its own default, whatever the type.
        advice = {way: text for way, text in each.advice.items() if way in found}
        yield each.model_copy(update={"advice": advice, "breaks": tuple(advice)})
    if _default(old) != _default(new):
        yield difference(
            path,
            Change.DEFAULT_CHANGED,
            (old.get("default"), new.get("default")),
            f"the default of `{path}` goes from {_default(old)} to {_default(new)}",
        )
    if old.get("doc") != new.get("doc"):
        sentence = f"`{path}` is described differently"
        yield difference(path, Change.DOC, (old.get("doc"), new.get("doc")), sentence)


def _renamed(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Difference:
    was, path = old["name"], f"{prefix}{new['name']}"
    found = _ways_found(old, new)
    new_reads = Way.BACKWARD in found or "default" in new
    old_reads = Way.FORWARD in found or "default" in old
    return difference(
        path,
        Change.RENAMED,
        (was, new["name"]),
        f"`{prefix}{was}` is renamed to `{path}`",
        backward=None if new_reads else f'add "aliases": ["{was}"] to it',
        forward=None if old_reads else f"keep `{was}`, or first register a version in which `{was}` has a default",
    )


def _ways_found(old: dict[str, Any], new: dict[str, Any]) -> set[Way]:
    """In which ways an alias leads from the one to the other."""
    is_known = {
        Way.BACKWARD: old["name"] in new.get("aliases", ()),
        Way.FORWARD: new["name"] in old.get("aliases", ()),
    }
    return {way for way, known in is_known.items() if known}


def _name(path: str, before: dict[str, Any], after: dict[str, Any]) -> Difference:
    was, now = bare_name(before), bare_name(after)
    what = f"the record in `{path}`" if path else "the record"

    def known(name: str, schema: dict[str, Any]) -> bool:
        return name in (alias.rpartition(".")[2] for alias in schema.get("aliases", ()))

    return difference(
        path,
        Change.RENAMED,
        (before["name"], after["name"]),
        f"{what} is renamed from `{was}` to `{now}`",
        backward=None if known(was, after) else f'keep the name `{was}`, or add "aliases": ["{was}"] to the record',
        forward=None if known(now, before) else f"keep the name `{was}`",
    )


def _of_types(path: str, before: Any, after: Any) -> Iterator[Difference]:  # noqa: ANN401 (Avro types are JSON)
    old, new = _without_null(before), _without_null(after)
    if _is_optional(after) and not _is_optional(before):
        advice = "keep it required while consumers of the version before are there"
        sentence = f"`{path}` is made optional: it may be null now"
        yield difference(path, Change.MADE_OPTIONAL, (before, after), sentence, forward=advice)
    if _is_optional(before) and not _is_optional(after):
        sentence = f"`{path}` is made required: it may not be null any more"
        yield difference(path, Change.MADE_REQUIRED, (before, after), sentence, backward='keep "null" in its type')
    if _nested(old, new):
        yield from _of_nested(path, old, new)
    elif old != new:
        yield from _of_values(path, old, new)


def _nested(old: Any, new: Any) -> bool:  # noqa: ANN401
    return isinstance(old, dict) and isinstance(new, dict) and kind_of(old) == kind_of(new) in _OF_NESTED


_OF_NESTED = ("record", "array", "map", "enum")


def _of_nested(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    match kind_of(old):
        case "record":
            yield from _of_records(path, old, new)
        case "array":
            yield from _of_types(f"{path}[]", old["items"], new["items"])
        case "map":
            yield from _of_types(f"{path}{{}}", old["values"], new["values"])
        case _:
            yield from _of_enums(path, old, new)


def _of_enums(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    if bare_name(old) != bare_name(new):
        yield from _of_values(path, old, new)
        return
    if gained := lost_symbols(new, old):
        yield difference(
            path,
            Change.SYMBOLS_ADDED,
            (old["symbols"], new["symbols"]),
            f"`{path}` gains {_named(gained)}",
            forward=None
            if has_enum_default(old)
            else "first register a version in which the enum has a default symbol",
        )
    if lost := lost_symbols(old, new):
        yield difference(
            path,
            Change.SYMBOLS_REMOVED,
            (old["symbols"], new["symbols"]),
            f"`{path}` loses {_named(lost)}",
            backward=None if has_enum_default(new) else "keep them, or give the enum a default symbol",
        )
    if old.get("default") != new.get("default"):
        sentence = f"the enum's default of `{path}` goes from {_default(old)} to {_default(new)}"
        yield difference(path, Change.DEFAULT_CHANGED, (old.get("default"), new.get("default")), sentence)


def _of_values(path: str, old: Any, new: Any) -> Iterator[Difference]:  # noqa: ANN401
    forth, back = can_read(old, new), can_read(new, old)
    if described(old) == described(new) and forth and back:
        return
    other = f"keep {described(old)}, and add a new field for {described(new)}"
    change = Change.WIDENED if forth and not back else Change.NARROWED if back and not forth else Change.TYPE_CHANGED
    sentence = f"`{path}` is {change.replace('type ', '')} from {described(old)} to {described(new)}"
    if change is Change.TYPE_CHANGED and forth and not _is_promoted(old, new):
        sentence += "; Avro does not tell them apart, so old values are read as if they were new ones"
    yield difference(
        path,
        change,
        (old, new),
        sentence,
        backward=None if forth else other,
        forward=None if back else other if change is not Change.WIDENED else _CONSUMERS_FIRST,
    )


_CONSUMERS_FIRST = "add a new field for it; or let consumers go first, under BACKWARD"


def _is_promoted(old: Any, new: Any) -> bool:  # noqa: ANN401
    return kind_of(new) in PROMOTED.get(kind_of(old), ())


def _is_optional(avro: Any) -> bool:  # noqa: ANN401
    return isinstance(avro, list) and "null" in avro


def _without_null(avro: Any) -> Any:  # noqa: ANN401
    if not isinstance(avro, list):
        return avro
    others = [branch for branch in avro if branch != "null"]
    return others[0] if len(others) == 1 else others


def _default(schema: dict[str, Any]) -> str:
    return _json(schema["default"]) if "default" in schema else "none"


def _json(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, ensure_ascii=False)


def _named(symbols: list[str]) -> str:
    return ("the symbol " if len(symbols) == 1 else "the symbols ") + ", ".join(symbols)
