"""Two load tests of yesterday and today, with the files that runs leave: the second one was slower, and lost nothing either."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.loads import (
    Balance,
    LoadAsked,
    LoadShape,
    LoadTarget,
    Observed,
    Offered,
    corners_of,
    level_at,
)
from load_tests.shown.moment import AT
from load_tests.shown.past import wave
from pipeline.loads.findings.html import written
from pipeline.loads.findings.report import report_of
from pipeline.loads.folder import LoadFolder, LoadRun

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings

BEFORE = "a3f01c2b7d9e"
"""Its operation is forgotten, its report is kept."""
_PEAK, _SECONDS = 2000, 120
ASKED = LoadAsked(
    stream="shop",
    target=LoadTarget.COLLECTOR,
    shape=LoadShape.FLASH_SALE,
    rate=_PEAK,
    lasts=timedelta(seconds=_SECONDS),
    users=8,
)


def keep_runs(settings: Settings, after: str) -> None:
    """Write both; the second one is of an operation."""
    for run, (number, hours, slower) in enumerate(((BEFORE, 26, 1.0), (after, 2, 1.6)), 1):
        _keep(settings, number, run, (AT - timedelta(hours=hours)).timestamp() * 1000, slower)


def _keep(settings: Settings, number: str, run: int, started_ms: float, slower: float) -> None:
    folder = LoadFolder(settings, number)
    folder.begin(LoadRun(id=number, run=run, asked=ASKED, started_ms=started_ms))
    corners, lag_s = corners_of(ASKED.shape, _SECONDS), 0.3
    sent = Counter[str]()
    for at in range(1, _SECONDS + 1):
        level = level_at(corners, at)
        lag_s = max(0.3, lag_s + (0.25 * slower if level > 0.9 else -0.6))  # noqa: PLR2004 (of a picture)
        refused = int(12 * level * wave(at))
        said = {"202": int(level * _PEAK) - refused, "429": refused}
        sent.update(said)
        ms = int(14 * slower + 26 * slower * level * wave(at))
        folder.add(
            Offered(t_s=at, users=8, due=sent.total(), offered=sent.total(), statuses=said, ms={str(ms): said["202"]})
        )
        lags = {"route shop": 0.1 + 0.2 * level, "lake shop": lag_s, "live shop": 0.3 + 0.4 * level}
        folder.add(
            Observed(
                t_s=at + 0.1,
                lag_s=lags,
                pixel_p99_ms=240 + 420 * slower * level,
                executors=2,
                waiting=40 * slower * lag_s,
            )
        )
    valid = int(sent["202"] * 0.98)
    balance = Balance(
        acknowledged=sent["202"], refused=sent["429"], unanswered=0, valid=valid, dead=0,
        quarantined=sent["202"] - valid, served=valid, lost=0, doubled=0, uninvited=0,
    )  # fmt: skip
    report = report_of(folder, settings, "ana", "whole", balance)
    folder.keep(report, written(report))
