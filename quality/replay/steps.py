"""What does a record become by an operator's fix steps? Pure: a dictionary in, another one out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controlplane.contract.fix_steps import (
    CastField,
    CastType,
    ChangeCase,
    DefaultField,
    DropField,
    FixStep,
    ReadAs,
    RenameField,
    SetField,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_MILLIS_FROM = 100_000_000_000
"""Seconds since 1970 are smaller than this for three thousand years, milliseconds since 1973 larger."""


class StepError(Exception):
    """A step cannot be done on a record; says which and why."""


def fixed(event: Mapping[str, Any], steps: Sequence[FixStep]) -> dict[str, Any]:
    """The event after all steps, in their order; `read_as` is about bytes and does nothing here.

    Raises:
        StepError: if a value cannot be cast.
    """
    found = dict(event)
    for step in steps:
        _take(found, step)
    return found


def _take(event: dict[str, Any], step: FixStep) -> None:  # noqa: C901 (a case a kind of step)
    match step:
        case SetField():
            event[step.field] = step.value
        case CastField():
            if event.get(step.field) is not None:
                event[step.field] = _cast(step, event[step.field])
        case ChangeCase():
            if isinstance(text := event.get(step.field), str):
                event[step.field] = text.upper() if step.kind == "upper" else text.lower()
        case DropField():
            event.pop(step.field, None)
        case RenameField():
            if step.field in event:
                event[step.to] = event.pop(step.field)
        case DefaultField():
            if event.get(step.field) is None:
                event[step.field] = step.value
        case ReadAs():
            pass


def _cast(step: CastField, value: Any) -> Any:  # noqa: ANN401 (a field of any type)
    try:
        return _CASTS[step.to](value)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise StepError(f"cast {step.field} {step.to}: {str(value)[:60]!r} is none") from error


def _whole(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value.strip()) if isinstance(value, str) else int(value)


def _boolean(value: Any) -> bool:  # noqa: ANN401
    text = str(value).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError(value)
    return text in _TRUE


def moment(value: Any) -> datetime:  # noqa: ANN401
    """A time from ISO 8601 (UTC where it names no zone), or from seconds or milliseconds since 1970.

    Raises:
        ValueError, TypeError, OverflowError, OSError: if it is none.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and not value.strip().lstrip("-").replace(".", "", 1).isdigit():
        found = datetime.fromisoformat(value.strip())
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    number = float(value)
    return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLIS_FROM else number, UTC)


_CASTS: dict[CastType, Callable[[Any], Any]] = {
    CastType.STRING: str,
    CastType.INT: _whole,
    CastType.DOUBLE: float,
    CastType.BOOLEAN: _boolean,
    CastType.TIMESTAMP: moment,
}
