"""How does an operation let everything else go first? By its nice value, and on Linux by that of its session as well.

Where nothing else groups processes, Linux shares the cores among sessions (autogroup, see sched(7)), and a nice value counts only
among the processes of one session. The platform's parts each have one: so an operation has one of its own, which is nice too.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NICE = 19
_AUTOGROUP = Path("/proc/self/autogroup")


def give_way(autogroup: Path = _AUTOGROUP) -> None:
    """Lower the priority of this process and of what it starts; of its session only if it leads that."""
    os.nice(max(0, NICE - os.nice(0)))
    if os.getsid(0) == os.getpid() and autogroup.exists():
        with contextlib.suppress(OSError):  # it may be lowered ten times a second by all users together
            autogroup.write_text(str(NICE))
