"""How does a process let others go first? By its nice value, and on Linux by that of its session as well.

Where nothing else groups processes, Linux shares the cores among sessions (autogroup, see sched(7)), and a nice value counts only
among the processes of one session. Every part of the platform has one of its own, and so has an operation: what nobody waits for
has one that is nice as a whole.

What nobody waits for at all also keeps to half of the cores, so that there is always one where it need not be pushed aside first.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_LAST = 19


def give_way() -> None:
    """Let everything else go before this process and what it starts, on half of the cores; its session only if it leads that."""
    os.nice(_LAST - os.nice(0))
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[len(cores) // 2 :])
    if os.getsid(0) == os.getpid():
        session_gives_way(_LAST, of=os.getpid())


def session_gives_way(nice: int, *, of: int) -> None:
    """Give a nice value to a process' session as a whole; nothing happens where there is no such thing.

    Args:
        nice: 1 to 19.
        of: the process.
    """
    with contextlib.suppress(OSError):  # no autogroup; or all users together have changed ten within a second
        Path(f"/proc/{of}/autogroup").write_text(str(nice))
