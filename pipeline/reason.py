"""Which line of an error says why? Spark wraps a cause in pages: plans, stack traces of two languages."""

from __future__ import annotations

import re

_CAUSE = re.compile(r"^\s*(?:Caused by: |:\s*)?((?:[\w$]+\.)*[\w$]*(?:Exception|Error): \S.*)$", re.MULTILINE)
_PACKAGES = re.compile(r"^(?:[\w$]+\.)+(?=[\w$]+:)")


_SAID_AT_MOST = 160


def first_line(error: Exception) -> str:
    """What an error says, in one short line: of a Kafka client's its own words; its kind when it says nothing."""
    inner = error.args[0] if error.args else None
    text = str(inner.str() if inner is not None and hasattr(inner, "str") else error)
    return (text.splitlines() or [type(error).__name__])[0][:_SAID_AT_MOST]


def reason_of(error: BaseException) -> str:
    """One line: the innermost cause that the message names, else the message's first line, with the error's type."""
    text = str(error)
    causes = _CAUSE.findall(text)
    if causes:
        return _PACKAGES.sub("", causes[-1].strip())
    first = next(iter(text.splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def told_of(error: BaseException, at_most: int) -> str:
    """What an error says, in so many characters: of one that says more its beginning, and the cause that stands at its end."""
    text = str(error)
    return text if len(text) <= at_most else f"{text[:at_most]}\nCaused by: {reason_of(error)}"
