"""Which errors in the parts' logs does no fault explain?

A process that is killed makes its neighbours complain, and rightly so. What they may say is listed here, each with what
explains it; any other line at level ERROR, and any other reason for which a part has ended, is unexpected.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b|^[A-Z]\w*(Error|Exception)\b")
"""A log line of that level, or the one line that says why a part has ended."""
_EXPECTED = {
    r"ERROR __main__: this part ends$": "the line that says why follows, and is looked at itself",
    r"^IOException: No space left on device|ERROR pipeline.maintenance.run: .*: No space left on device$": "the disk was full",
    r"^TimeoutException: Expiring \d+ record": "the broker was away for longer than a delivery may take",
    r"ERROR logger: .*Expected partition .* to exist, but it was missing\. Creating": "Kafka says so when a topic gains one",
    r"ERROR ControllerApis: .*Unexpected error handling request RequestHeader\(apiKey=CONTROLLER_REGISTRATION,": (
        "Kafka's controller asks itself to be registered while it starts, and asks again"
    ),
    r"DownloadReaper.*\[Error Occurred After Shutdown\]": "the registry's own, when it is stopped while it tidies up",
}
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
