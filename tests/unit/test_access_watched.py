"""Who is connected and known no more is let go; all are asked for at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from controlplane.service.access.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Collection


class Asked:
    """Says who is known, and tells a loop that it was asked."""

    def __init__(self, known: set[str]) -> None:
        self.known, self.is_away = known, False
        self.counts: list[int] = []
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()

    def __call__(self, secrets: Collection[str]) -> Collection[str]:
        self.counts.append(len(secrets))
        answer = self.known & set(secrets)
        self._loop.call_soon_threadsafe(self._news.set)
        if self.is_away:
            raise OperationalError("SELECT", {}, Exception("away"))
        return answer

    async def once(self) -> None:
        await asyncio.wait_for(self._news.wait(), 5)
        self._news.clear()


def test_a_thousand_are_looked_up_together_and_only_who_is_unknown_is_let_go() -> None:
    async def watch() -> list[int]:
        asked = Asked({f"s{number}" for number in range(1000)})
        watched = Watched(asked)
        waiting = {secret: asyncio.create_task(watched.until_unknown(secret)) for secret in sorted(asked.known)}
        await asked.once()
        asked.known.discard("s7")
        watched.look()
        await asyncio.wait_for(waiting.pop("s7"), 5)
        assert not any(task.done() for task in waiting.values())
        for task in waiting.values():
            task.cancel()
        return asked.counts

    assert asyncio.run(watch()) == [1000, 1000]


def test_while_the_database_is_away_nobody_is_let_go() -> None:
    async def watch() -> None:
        asked = Asked(set())
        asked.is_away = True
        watched = Watched(asked)
        waiting = asyncio.create_task(watched.until_unknown("s"))
        await asked.once()
        watched.look()
        await asked.once()
        assert not waiting.done()
        asked.is_away = False
        watched.look()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(watch())
