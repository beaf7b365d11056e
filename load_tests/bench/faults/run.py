"""Rounds of faults, then the whole account."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load_tests.bench.faults.fault import DiskFull, Fault
from load_tests.bench.faults.heard import unexpected
from load_tests.bench.faults.stage import STREAM, Outcome, Stage
from load_tests.bench.faults.truth import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def measure(
    faults: Sequence[Fault], rate: float, told: Callable[[str], None], keep: Path | None = None
) -> dict[str, Any]:
    """One fault a round under load, then every row compared with what was produced.

    Args:
        faults: one a round.
        rate: events a second of the shop's feed.
        told: takes progress.
        keep: folder to leave the logs in.

    Returns:
        rounds, produced, lost, duplicated, recovery_s (p50, max), unexpected_errors; and, each empty when all is well,
        unsaid (what the console kept quiet about), not_recovered, examples.
    """
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="tidegate-faults-") as folder:
        with Stage(Path(folder), rate, told) as stage:
            possible = [
                fault for fault in faults if not isinstance(fault, DiskFull) or stage.disks[fault.part].is_small
            ]
            for number, fault in enumerate(possible, 1):
                outcomes.append(stage.commit(fault))
                told(f"round {number} of {len(possible)}: {_sentence(outcomes[-1])}")
            undrained = stage.drain()
            account = compare(stage.settings, STREAM)
            memory = {part: [round(size / 2**20) for size in seen] for part, seen in stage.witness.memory.items()}
        logs = Path(folder) / "data" / "logs"
        errors = unexpected(logs)
        if keep is not None:
            shutil.copytree(logs, keep, dirs_exist_ok=True)
    return {
        "rounds": len(outcomes),
        "produced": account.produced,
        "lost": account.lost,
        "duplicated": account.duplicated,
        "recovery_s": _spread([each.recovery_s for each in outcomes]),
        "unexpected_errors": errors,
        "unsaid": [each.unsaid for each in outcomes if each.unsaid],
        "not_recovered": [str(each.fault) for each in outcomes if each.recovery_s is None or each.whole_s is None],
        "not_balanced": undrained,
        "examples": account.examples,
        "rows": account.by_hop,
        "recovery_by_fault_s": _by_fault(outcomes, lambda each: each.recovery_s),
        "whole_by_fault_s": _by_fault(outcomes, lambda each: each.whole_s),
        "memory_max_mib": {part: max(seen) for part, seen in memory.items()},
        "skipped": sorted({str(fault) for fault in faults} - {str(fault) for fault in possible}),
    }


def _sentence(outcome: Outcome) -> str:
    screen = "nothing new on screen" if outcome.recovery_s is None else f"on screen after {outcome.recovery_s:.1f} s"
    whole = "not whole" if outcome.whole_s is None else f"whole after {outcome.whole_s:.1f} s"
    return "; ".join(filter(None, (f"{outcome.fault}: {screen}, {whole}", outcome.unsaid)))


def _by_fault(outcomes: Sequence[Outcome], of: Callable[[Outcome], float | None]) -> dict[str, dict[str, float | None]]:
    found: dict[str, list[float | None]] = defaultdict(list)
    for each in outcomes:
        found[str(each.fault)].append(of(each))
    return {fault: _spread(times) for fault, times in sorted(found.items())}


def _spread(times: Sequence[float | None]) -> dict[str, float | None]:
    known = sorted(each for each in times if each is not None)
    return {"p50": known[len(known) // 2] if known else None, "max": known[-1] if known else None}
