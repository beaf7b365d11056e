"""Which errors in the parts' logs does no fault explain?

A process that is killed makes its neighbours complain, and rightly so. What they may say is listed here, each with what
explains it; anything else at level ERROR, and any traceback that no line explains, is unexpected.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b|^Traceback|^[\w.]+(Error|Exception): ")
_EXPECTED: dict[str, str] = {}
"""Regular expression -> what explains it."""
_LONGEST = 300


def unexpected(logs: Path) -> list[str]:
    """Part and line of every error that nothing explains, each once."""
    explained = [re.compile(pattern) for pattern in _EXPECTED]
    found = (
        f"{log.stem}: {line[:_LONGEST]}"
        for log in sorted(logs.glob("*.log*"))
        for line in _errors(log)
        if not any(each.search(line) for each in explained)
    )
    return list(dict.fromkeys(found))


def _errors(log: Path) -> Iterator[str]:
    with log.open(encoding="utf-8", errors="replace") as lines:
        yield from (line.rstrip() for line in lines if _ERROR.search(line))
