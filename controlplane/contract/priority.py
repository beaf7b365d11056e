"""How does a process let others go first? By its nice value, and on Linux by that of its session as well.

Where nothing else groups processes, Linux shares the cores among sessions (autogroup, see sched(7)), and a nice value counts only
among the processes of one session. Every part of the platform has one of its own, and so has an operation: each is nice as a whole.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def give_way(nice: int) -> None:
    """Lower the priority of this process and of what it starts; that of its session only if it leads that."""
    os.nice(max(0, nice - os.nice(0)))
    if os.getsid(0) == os.getpid():
        session_gives_way(os.getpid(), nice)


def session_gives_way(leader: int, nice: int, proc: Path = _PROC) -> bool:
    """Set the nice value of a session, by the process that leads it.

    Returns:
        Whether that is done, or there is nothing to do. False: ask again; all users but root may only do so ten times a second.
    """
    group = proc / str(leader) / "autogroup"
    if not group.exists():
        return True
    try:
        group.write_text(str(nice))
    except OSError:
        return False
    return True
