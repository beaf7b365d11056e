"""How does a process let others go first? By its nice value, and on Linux by that of its session as well.

Where nothing else groups processes, Linux shares the cores among sessions (autogroup, see sched(7)), and a nice value counts only
among the processes of one session. Every part of the platform has one of its own, and so has an operation: what nobody waits for
has one that is nice as a whole.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_LAST = 19
_AUTOGROUP = Path("/proc/self/autogroup")


def give_way() -> None:
    """Let everything else go before this process and what it starts; before its session only if it leads that."""
    os.nice(_LAST - os.nice(0))
    if os.getsid(0) == os.getpid() and _AUTOGROUP.exists():
        with contextlib.suppress(OSError):  # all users together may lower it ten times a second
            _AUTOGROUP.write_text(str(_LAST))
