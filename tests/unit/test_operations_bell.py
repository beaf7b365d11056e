"""Who waits for news of operations does not hold up a control plane that stops."""

from __future__ import annotations

import asyncio

from controlplane.service.operations.bell import Bell


def test_who_waits_is_let_go_when_the_control_plane_stops_and_nobody_waits_after() -> None:
    bell = Bell()

    async def waits() -> None:
        waiting = asyncio.create_task(bell.wait(60))
        await asyncio.sleep(0)
        bell.close()
        await asyncio.wait_for(waiting, 10)
        await asyncio.wait_for(bell.wait(60), 10)

    asyncio.run(waits())
    assert bell.is_closed
