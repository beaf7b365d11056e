"""Does a JSON value fit an Avro type, and what is it there? Of an event every mistake is found, not only the first.

A schema becomes one function a type, made once; only a value that does not fit costs more than looking at it. JSON has fewer types
than Avro: a long is a whole number, a timestamp an ISO 8601 time with its offset or the number that Avro keeps, bytes are a string
with a character a byte (as in Avro's own JSON), and of a union the first branch counts that takes the value, which may be
named (`{"double": 1.5}`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.collector.answers import Misfit, MisfitError, came, misfit
from pipeline.collector.events.values import PLAIN, Convert, bytes_of, logical_of, one_of, string

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Names = dict[str, Convert]
_MISSING: Any = object()
_SHOWN_AT_MOST = 80
"""Characters of a name that nobody here has given."""


def converter(schema: Any, names: Names | None = None, namespace: str = "") -> Convert:  # noqa: ANN401, PLR0911 (Avro is JSON; a row a type)
    """What makes an Avro value of a JSON one.

    Args:
        schema: the Avro type.
        names: of the named types that were defined before it.
        namespace: that it stands in.
    """
    names = {} if names is None else names
    if isinstance(schema, list):
        return _union([(_branch_name(each), converter(each, names, namespace)) for each in schema])
    if isinstance(schema, str):
        return _plain(schema, names, namespace)
    kind = schema["type"]
    if isinstance(kind, (dict, list)):
        return converter(kind, names, namespace)
    if (logical := logical_of(schema)) is not None:
        return logical
    match kind:
        case "record" | "error":
            return _record(schema, names, namespace)
        case "enum":
            return _named(schema, names, namespace, one_of(schema["symbols"]))
        case "fixed":
            return _named(schema, names, namespace, bytes_of(schema["size"]))
        case "array":
            return _array(converter(schema["items"], names, namespace))
        case "map":
            return _map(converter(schema["values"], names, namespace))
    return _plain(kind, names, namespace)


def _plain(kind: str, names: Names, namespace: str) -> Convert:
    if kind in PLAIN:
        return PLAIN[kind]
    name = kind if "." in kind or not namespace else f"{namespace}.{kind}"

    def convert(value: Any) -> Any:  # noqa: ANN401 (as all below: whatever has come)
        """A type may hold itself, so it is looked up late."""
        return names[name if name in names else kind](value)

    return convert


def _named(schema: Mapping[str, Any], names: Names, namespace: str, convert: Convert) -> Convert:
    names[_full_name(schema, namespace)] = convert
    return convert


def _full_name(schema: Mapping[str, Any], namespace: str) -> str:
    name, within = str(schema["name"]), str(schema.get("namespace", namespace))
    return name if "." in name or not within else f"{within}.{name}"


def _array(item: Convert) -> Convert:
    def convert(value: Any) -> Any:  # noqa: ANN401 (as all below: whatever has come)
        if type(value) is not list:
            raise misfit("array", value)
        return _each(((f"[{index}]", each) for index, each in enumerate(value)), item)

    return convert


def _map(item: Convert) -> Convert:
    def convert(value: Any) -> Any:  # noqa: ANN401
        if type(value) is not dict:
            raise misfit("map: an object", value)
        return dict(zip(map(string, value), _each(value.items(), item), strict=True))

    return convert


def _each(items: Iterable[tuple[str, Any]], item: Convert) -> list[Any]:
    found, wrong = [], list[Misfit]()
    for place, each in items:
        try:
            found.append(item(each))
        except MisfitError as error:
            wrong += _within(place, error)
    if wrong:
        raise MisfitError(wrong)
    return found


def _union(branches: list[tuple[str, Convert]]) -> Convert:
    """Of several branches that are not null a pair says which one it is; the encoder would guess."""
    named = [each for each in branches if each[0] != "null"]
    may_be_null = len(named) < len(branches)

    def convert(value: Any) -> Any:  # noqa: ANN401
        if value is None and may_be_null:
            return None
        wrong = list[MisfitError]()
        for name, branch in named:
            try:
                found = branch(_unwrapped(name, value))
            except MisfitError as error:
                wrong.append(error)
            else:
                return found if len(named) == 1 else (name, found)
        if len(wrong) == 1 and wrong[0].misfits[0].path:
            raise wrong[0]
        expected = [*(each.misfits[0].expected for each in wrong), *["null"] * may_be_null]
        raise misfit(" or ".join(expected), value)

    return convert


def _unwrapped(name: str, value: Any) -> Any:  # noqa: ANN401
    """Avro's own JSON names the branch."""
    return value[name] if type(value) is dict and len(value) == 1 and name in value else value


def _branch_name(schema: Any) -> str:  # noqa: ANN401
    if isinstance(schema, str):
        return schema
    return str(schema.get("name", schema["type"]))


def _record(schema: Mapping[str, Any], names: Names, namespace: str) -> Convert:
    full = _full_name(schema, namespace)
    inner = full.rpartition(".")[0]
    fields: list[tuple[str, Convert, Any]] = []
    known = frozenset(each["name"] for each in schema["fields"])
    meant = {_bare(name): name for name in known}

    def convert(value: Any) -> Any:  # noqa: ANN401
        if type(value) is not dict:
            raise misfit(f"{schema['name']}: an object", value)
        found: dict[str, Any] = {}
        wrong = list[Misfit]()
        for name, field, default in fields:
            one = value.get(name, default)
            try:
                if one is _MISSING:
                    raise _missing(field)  # noqa: TRY301 (it is a mistake as the others are)
                found[name] = field(one)
            except MisfitError as error:
                wrong += _within(name, error)
        if not value.keys() <= known:
            wrong += (_unknown(name, meant, value[name]) for name in value if name not in known)
        if wrong:
            raise MisfitError(wrong)
        return found

    names[full] = convert
    fields += [
        (each["name"], converter(each["type"], names, inner), each.get("default", _MISSING))
        for each in schema["fields"]
    ]
    return convert


def _missing(field: Convert) -> MisfitError:
    """Null is no value either, so what is asked of it says what is missing."""
    try:
        field(object())
    except MisfitError as error:
        return MisfitError([Misfit("", error.misfits[0].expected, "nothing")])
    return MisfitError([Misfit("", "a value", "nothing")])


def _unknown(name: str, meant: Mapping[str, str], value: Any) -> Misfit:  # noqa: ANN401
    found = meant.get(_bare(name))
    hint = "" if found is None else f"; {found!r} was meant?"
    return Misfit(name[:_SHOWN_AT_MOST], f"no such field: the schema has none{hint}", came(value))


def _bare(name: str) -> str:
    """What `userId` and `user_id` have in common. Comparing with every field would let who sends many unknown ones keep us busy."""
    return name[:_SHOWN_AT_MOST].lower().replace("_", "").replace("-", "")


def _within(place: str, error: MisfitError) -> list[Misfit]:
    return [
        Misfit(f"{place}{'' if not path or path.startswith('[') else '.'}{path}", expected, found)
        for path, expected, found in error.misfits
    ]
