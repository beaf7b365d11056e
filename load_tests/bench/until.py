"""When is a condition met? Asked in the platform's own beat, or again and again, with a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_EVERY_S = 0.5
_WAITS_S = 0.1
_T = TypeVar("_T")


def awaited(look: Callable[[], _T], what: str, within_s: float) -> _T:
    """Wait until what is looked at is there.

    Raises:
        TimeoutError: if it is not in time.
    """
    deadline = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        time.sleep(_WAITS_S)
    return found


def until(look: Callable[[], bool], what: str, within_s: float) -> Callable[[], bool]:
    """For `Platform.run_until`: is it so now? Looks twice a second.

    Raises (when called):
        TimeoutError: if it is not so in time.
    """
    deadline, looked_at = time.monotonic() + within_s, 0.0

    def is_met() -> bool:
        nonlocal looked_at
        if time.monotonic() - looked_at < _LOOK_EVERY_S:
            return False
        if look():
            return True
        looked_at = time.monotonic()
        if looked_at > deadline:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        return False

    return is_met


def steady(look: Callable[[], bool], for_s: float) -> Callable[[], bool]:
    """Has it been so, at every look, for so long?"""
    since: float | None = None

    def has_been() -> bool:
        nonlocal since
        since = (since or time.monotonic()) if look() else None
        return since is not None and time.monotonic() - since > for_s

    return has_been
