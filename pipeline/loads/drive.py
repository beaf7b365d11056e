"""How is the load begun, watched and ended? The process that loads is another room's command, which watches the platform as well.

A load is offered once: its time axis cannot be gone on with. So a pause ends it early and what follows waits, and a run that was
killed is not begun again.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from controlplane.contract.loads import LoadTarget
from pipeline.loads.addresses import addresses_of, refused, why_refused
from pipeline.loads.findings.balance import ends_of
from pipeline.loads.findings.recovery import all_back, peak_reached, recoveries
from pipeline.loads.folder import LoadFolder, LoadRun
from pipeline.loads.ids import run_number
from pipeline.loads.observe import Observer
from pipeline.operate.kind import PausedError, RefusedError, RestsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from controlplane.contract.loads import LoadAsked
    from pipeline.operate.kind import Work

_COMMAND = (sys.executable, "-P", "-m", "load_tests.users")
_ENDS_WITHIN_S = 30.0
_SETTLES_WITHIN_S = 120.0
_EVERY_S = 1.0
_WORDS = 600


def load(work: Work, asked: LoadAsked) -> Mapping[str, JsonValue]:
    """Have it loaded, to its end.

    Raises:
        RefusedError: if it was begun before, or the process that loads ends with an error.
    """
    folder = LoadFolder(work.settings, work.operation.id)
    if folder.has_begun:
        raise RefusedError("this run was interrupted, and a load cannot be gone on with: start another one")
    if not_ours := refused(addresses_of(asked.target, work.settings), work.settings.load_targets):
        raise RefusedError(why_refused(not_ours))
    run = LoadRun(
        id=work.operation.id,
        run=run_number(work.operation.id),
        asked=asked,
        started_ms=time.time() * 1000,
        topics=_topics(work) if asked.target is LoadTarget.HUB else (),
        begins=ends_of(work.settings.kafka, asked.stream) if asked.target.writes else {},
    )
    folder.begin(run)
    try:
        with _loading(folder) as process:
            _watch(work, folder, process)
    except PausedError as paused:
        said = f"cut short by a pause after {max(0, _now_s(folder)):.0f} s"
        raise RestsError(said, {"ended": said}) from paused
    if process.returncode:
        raise RefusedError(f"the process that loads ended with {process.returncode}: {_last_words(folder)}")
    return {"ended": "whole"}


def settle(work: Work) -> Mapping[str, JsonValue]:
    """Watch until every query is back where it was, two minutes at most."""
    folder = LoadFolder(work.settings, work.operation.id)
    run = folder.run()
    observer, peak = Observer(work.settings, run.asked), peak_reached(run.asked.corners, folder.offered())
    until = time.monotonic() + _SETTLES_WITHIN_S
    try:
        while time.monotonic() < until:
            work.check()
            folder.add(observer.look(_now_s(folder)))
            found = recoveries(folder.observed(), peak)
            back = sum(each.seconds is not None for each in found)
            work.progress(back, len(found), "queries", "until their lag is what it was")
            if all_back(found):
                break
            time.sleep(_EVERY_S)
    finally:
        observer.close()
    return {}


def _watch(work: Work, folder: LoadFolder, process: subprocess.Popen[bytes]) -> None:
    asked = folder.run().asked
    late_s = asked.seconds + _ENDS_WITHIN_S
    unit = "events" if asked.target.writes else "requests" if asked.events else "s"
    while process.poll() is None:
        work.check()
        now_s = _now_s(folder)
        done, total = (folder.sent(), asked.events) if asked.events else (int(now_s), int(asked.seconds))
        work.progress(max(0, min(done, total)), total, unit)
        if now_s > late_s:
            raise RefusedError(f"the process that loads has not ended {_ENDS_WITHIN_S:.0f} s after its time")
        time.sleep(_EVERY_S)


@contextmanager
def _loading(folder: LoadFolder) -> Iterator[subprocess.Popen[bytes]]:
    """The process that loads, in a session of its own: it must not be as nice as an operation. It ends with the block."""
    with folder.words.open("wb") as words:
        process = subprocess.Popen(
            (*_COMMAND, folder.path.name), stdin=subprocess.PIPE, stdout=words, stderr=words, start_new_session=True
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _now_s(folder: LoadFolder) -> float:
    """Read anew each time: the process that loads says when second 0 is once it is ready."""
    return time.time() - folder.run().started_ms / 1000


def _topics(work: Work) -> tuple[str, ...]:
    stream = work.stream()
    return ("overview", *(f"live/{stream.name}/{rollup}" for rollup in stream.rollups))


def _last_words(folder: LoadFolder) -> str:
    lines = folder.words.read_text(errors="replace")[-_WORDS:].strip().splitlines()
    return lines[-1] if lines else "it said nothing"
