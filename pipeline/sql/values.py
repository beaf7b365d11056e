"""How is a value of an engine written in JSON? So that a browser and a person can read it, and nothing is lost."""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

EXACT_BELOW = 2**53
"""Integers from here on are not exact in JavaScript."""


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 (whatever a table holds; a case a type)
    """Integers beyond 2**53, decimals and numbers that are none as text, times in ISO 8601, bytes in base64."""
    match value:
        case bool() | None | str():
            return value
        case int():
            return value if -EXACT_BELOW < value < EXACT_BELOW else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case Decimal() | timedelta():
            return str(value)
        case _:
            return str(value)
