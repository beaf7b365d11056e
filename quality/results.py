"""Where is what Great Expectations found? A file a verdict, the last 50 of each gate, from which Data Docs are built.

`<root>/<stream>/<stage>[-<table>]/<moment>.json` has the suite, its fingerprint, the validation result and the decision.
Whoever decides must not wait for a disk, so the files are written by a thread of their own; when it cannot keep up, results
are left out: they explain, they do not decide.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.gates import GateDecided

KEPT = 50
_WAITING_AT_MOST = 20
_BYTES_AT_MOST = 2 * 2**20
_log = logging.getLogger(__name__)


class Results:
    """Writes results below a folder; `close` waits for those that are under way."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._queue: queue.Queue[tuple[GateDecided, dict[str, Any], dict[str, Any]] | None] = queue.Queue(
            _WAITING_AT_MOST
        )
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)
        self._thread.start()

    def keep(self, decided: GateDecided, suite: dict[str, Any], result: dict[str, Any]) -> None:
        """Write it soon; never blocks, never raises."""
        try:
            self._queue.put_nowait((decided, suite, result))
        except queue.Full:
            _log.warning("results of %s %s are left out: the disk is too slow", decided.stream, decided.stage)

    def close(self) -> None:
        """Write what waits."""
        self._queue.put(None)
        self._thread.join(5)

    def _run(self) -> None:
        while (one := self._queue.get()) is not None:
            try:
                write(self._root, *one)
            except (OSError, TypeError, ValueError) as error:
                _log.warning("a result of %s %s cannot be kept: %s", one[0].stream, one[0].stage, error)


def folder_of(root: Path, decided: GateDecided) -> Path:
    """Where the results of the gate that has decided this are."""
    table = "" if decided.table is None else f"-{decided.table}"
    return root / decided.stream / f"{decided.stage}{table}"


def write(root: Path, decided: GateDecided, suite: dict[str, Any], result: dict[str, Any]) -> None:
    """Write one, and delete the oldest above `KEPT`.

    Raises:
        OSError: if it cannot be written.
    """
    folder = folder_of(root, decided)
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "suite": suite,
        "fingerprint": decided.suite,
        "result": result,
        "decided": decided.model_dump(mode="json"),
    }
    text = orjson.dumps(written, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    if len(text) > _BYTES_AT_MOST:
        raise ValueError(f"it has {len(text):,} bytes")
    file = folder / f"{decided.at:%Y-%m-%dT%H-%M-%S.%f}Z.json"
    partial = file.with_suffix(".part")
    partial.write_bytes(text)
    partial.replace(file)
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
