"""How long can every version of a table be read, and by which columns are files left out? Delta's properties that say so.

The lake gives them to a table when it makes it: set later, they make an append that is under way fail and begin anew,
because Delta calls any change of a table's metadata a conflict.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controlplane.contract.streams import Maintenance

FILES = "delta.deletedFileRetentionDuration"
LOG = "delta.logRetentionDuration"
STATS = "delta.dataSkippingStatsColumns"
_INTERVAL = re.compile(r"(?:interval\s+)?(?P<count>\d+)\s*(?P<unit>second|minute|hour|day|week)s?", re.IGNORECASE)


def promised(policy: Maintenance) -> dict[str, str]:
    """The properties, as Delta writes them."""
    written = _written(policy.time_travel)
    return {FILES: written, LOG: written}


def _written(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    for unit, size in (("days", 86_400), ("hours", 3_600)):
        if seconds and seconds % size == 0:
            return f"interval {seconds // size} {unit}"
    return f"interval {seconds} seconds"


def length_of(written: str | None) -> timedelta | None:
    """A property's length; None when it is not set, or not a plain interval."""
    found = _INTERVAL.fullmatch((written or "").strip())
    return None if found is None else timedelta(**{f"{found['unit'].lower()}s": int(found["count"])})


def with_stats(first: Iterable[str], cluster_by: Iterable[str]) -> str:
    """Delta's list of the columns that files are left out by; Z-order is of use for these only."""
    return ",".join(dict.fromkeys((*first, *cluster_by)))


def drifted(properties: Mapping[str, str], policy: Maintenance, cluster_by: Sequence[str] = ()) -> dict[str, str]:
    """Those that say something else than the policy, as they should be."""
    wanted = promised(policy)
    found = {key: value for key, value in wanted.items() if length_of(properties.get(key)) != length_of(value)}
    counted = properties.get(STATS)
    if counted is not None and not set(cluster_by) <= set(columns := counted.split(",")):
        found[STATS] = with_stats(columns, cluster_by)
    return found
