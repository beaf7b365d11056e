"""When is it in the pictures? Always the same moment: a control plane in this process has a clock that stands still.

Its modules ask `datetime.now` and `time.time` wherever they need to know, so these names are replaced in them, and in them only:
sessions, sockets and the test's own deadlines go by the real clock. Ids are drawn in order, so that they are the same each time.
"""

from __future__ import annotations

import random
import sys
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

AT = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
"""A Thursday afternoon."""
_ROOMS = ("controlplane.service", "quality", "alerts", "pipeline.loads")
_NOT = ("controlplane.service.access",)
_MISSING = object()


class _AnyDatetime(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


class _Standing(datetime, metaclass=_AnyDatetime):
    """As `datetime`, but now is always then."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return AT.astimezone(tz)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """An annotation that names it is one of `datetime`."""
        return handler(datetime)


class _StandingTime:
    """As the module `time`, but for `time()`."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the module has)
        return getattr(time, name)

    def time(self) -> float:
        return AT.timestamp()


@contextmanager
def standing_still() -> Iterator[None]:
    """The control plane and the rooms that this process has imported see the same moment until the end."""
    drawn = random.Random(9)  # noqa: S311 (names in a picture)
    instead = {
        datetime: _Standing,
        time: _StandingTime(),
        uuid.uuid4: lambda: uuid.UUID(int=drawn.getrandbits(128), version=4),
    }
    changed = [
        (module, name, value)
        for where, module in [*sys.modules.items()]
        if where.startswith(_ROOMS) and not where.startswith(_NOT)
        for name in ("datetime", "time", "uuid4")
        if (value := vars(module).get(name, _MISSING)) in instead
    ]
    for module, name, value in changed:
        setattr(module, name, instead[value])
    try:
        yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)
