"""Does the lake's gate let through what was built? A sample of it is judged as a micro-batch of so many rows would be."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from controlplane.contract.gates import Outcome, Stage
from pipeline.arrow import to_frame
from pipeline.backfill.build import ROWS
from pipeline.lake.sample import columns_read
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from pipeline.backfill.scene import Scene
    from pipeline.backfill.storage import Built
    from pipeline.gate import Gate

_STOPS = (Outcome.DIVERTED, Outcome.HALTED, Outcome.MISCONFIGURED)
_FILES_AT_MOST = 50


def judged(scene: Scene, gate: Gate) -> dict[str, JsonValue]:
    """Judge; what was judged and what came of it.

    Raises:
        RefusedError: if the gate does not let it through; nothing has changed.
    """
    stream = scene.stream
    suite = stream.suites.get(Stage.LAKE)
    if not suite or not suite.get("expectations"):
        return {"outcome": "none", "note": "the lake has no suite"}
    files = [each for unit in scene.units() for each in scene.shadow.files(f"{unit}/{ROWS}") if each.rows]
    frame = _sample(scene, files, stream.gates.lake.sample, columns_read(suite))
    gate.prepare()
    gate.await_ready()
    found = gate.judge(suite, stream.gates.lake.policy, frame, rows=len(frame))
    said: dict[str, Any] = {
        "outcome": found.outcome.value,
        "judged": len(frame),
        "rows": sum(each.rows for each in files),
        "reason": found.reason,
        "rules": [each.model_dump(mode="json") for each in found.rules if each.kept is not True],
    }
    if found.outcome in _STOPS:
        raise RefusedError(
            f"the lake's gate stops it ({found.outcome.value}): {found.reason}; {len(frame):,} of {said['rows']:,} rows were "
            "judged, nothing was changed; mend the rules or the suite, and plan it again"
        )
    return said


def _sample(scene: Scene, files: Sequence[Built], most: int, columns: frozenset[str] | None) -> pd.DataFrame:
    """A stretch of some files each; which follows from the operation's id."""
    drawn = random.Random(scene.id)  # noqa: S311 (a place, not a secret)
    some = sorted(drawn.sample(list(files), min(len(files), _FILES_AT_MOST)), key=lambda each: each.path)
    parts: list[pa.Table] = []
    for at, each in enumerate(some):
        share = (most - sum(part.num_rows for part in parts)) // (len(some) - at)
        rows = scene.shadow.read(each.path, columns or scene.shadow.columns([each.path]))
        start = drawn.randint(0, max(0, rows.num_rows - share))
        parts.append(rows.slice(start, share))
    return to_frame(pa.concat_tables(parts, promote_options="permissive")) if parts else pd.DataFrame()
