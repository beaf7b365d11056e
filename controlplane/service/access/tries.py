"""How often may somebody try to sign in? So many times in a while, counted by address and by name; a success gives its try back.

A try is counted before its password is looked at: many at once must not all slip through while the first is still being verified.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_KEYS_AT_MOST = 10_000


class Tries:
    """Tries of the last while, by key.

    Args:
        most: so many are let through.
        within: in this time.
    """

    def __init__(self, most: int, within: timedelta) -> None:
        self._most, self._within = most, within
        self._at: OrderedDict[str, deque[datetime]] = OrderedDict()

    def take(self, key: str, now: datetime) -> timedelta:
        """Count a try; zero when it may be made, otherwise how long to wait (then it is not counted)."""
        tries = self._at.setdefault(key, deque())
        self._at.move_to_end(key)
        while tries and now - tries[0] >= self._within:
            tries.popleft()
        if len(tries) >= self._most:
            return tries[0] + self._within - now
        tries.append(now)
        while len(self._at) > _KEYS_AT_MOST:
            self._at.popitem(last=False)
        return timedelta(0)

    def forgive(self, key: str) -> None:
        """Give the newest try back."""
        if self._at.get(key):
            self._at[key].pop()
