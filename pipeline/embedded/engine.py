"""How do many queries share one engine?

chDB lets one process own a folder, and runs queries in parallel only when each has a connection of its own. So there is
a pool of sessions: a query gets one that is already set as it wants, or one that can be, or a new one (0.4 ms). Inserts
have threads of their own, so that slow reads never keep them waiting.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pipeline.embedded.deduplication import lacks, strike_out
from pipeline.embedded.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MIB = 1024 * 1024
_SERVER = {
    "max_server_memory_usage": 1024 * _MIB,
    "mark_cache_size": 64 * _MIB,
    "primary_index_cache_size": 64 * _MIB,
    "index_mark_cache_size": 16 * _MIB,
    "query_condition_cache_size": 16 * _MIB,
}
"""One process among many on one machine: chDB's defaults are for a machine of its own."""
_MERGE_TREE: dict[str, int | str] = {
    "min_bytes_for_full_part_storage": 10 * _MIB,  # a small part is one file, not a dozen
    "merge_selector_base": 10,  # merge ten at a time, not five: half the rewriting, and reads hardly notice
    "auto_statistics_types": "",  # made anew for every insert and merge, and nothing here is joined
}
"""What tables are made of when several inserts come a second."""
_IDLE_AT_MOST = 24
_NAMED_WITHIN_S = 0.2
"""In which an insert that has noted its token has given its part the name."""
_log = logging.getLogger(__name__)


class Engine:
    """chDB on one folder; every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        if struck := strike_out(path):
            said = "%d inserts were noted whose parts are not there, as %s: made again, such an insert is taken"
            _log.warning(said, len(struck), struck[-1])
        self._path = path
        self._address = f"{path}?{urlencode({'config-file': _configured(path)})}"
        self._numbers = itertools.count(1)
        self._idle: list[Session] = []
        self._lock = threading.Lock()
        self._root_lock = threading.Lock()
        self._root = Session(self._address, "root")
        self.version = self._root.ask("SELECT version()")
        self.timezone = self._root.ask("SELECT timezone()")
        names = self._root.ask("SELECT arrayStringConcat(groupArray(lower(name)), ' ') FROM system.table_functions")
        self.table_functions = frozenset(names.split())
        """Of this version, in lower case."""

    def lease(self, settings: Mapping[str, str], database: str) -> Session:
        """A session set to these; give it back."""
        session = self._pick(settings, database) or Session(self._address, f"session-{next(self._numbers)}")
        try:
            session.adopt(settings, database)
        except BaseException:
            session.close()
            raise
        return session

    def _pick(self, settings: Mapping[str, str], database: str) -> Session | None:
        readonly = settings.get("readonly", "0")
        with self._lock:
            ready = (each for each in reversed(self._idle) if each.is_set_to(settings, database))
            changeable = (each for each in self._idle if each.readonly == readonly != "1")
            session = next(ready, None) or next(changeable, None)
            if session is not None:
                self._idle.remove(session)
            return session

    def give_back(self, session: Session) -> None:
        """Take a session back; the one idle for longest ends when there are too many."""
        with self._lock:
            if not session.must_end:
                self._idle.append(session)
                session = self._idle.pop(0) if len(self._idle) > _IDLE_AT_MOST else self._root
        if session is not self._root:
            session.close()

    def stop(self, session: str) -> None:
        """Stop what a session is running, by its name."""
        with self._root_lock:
            self._root.stop(session)

    def end_if_in_doubt(self, error: Exception) -> None:
        """After an insert that failed: has it noted what it did not do? Then this process ends before anybody tries again."""
        if lacks(self._path):
            time.sleep(_NAMED_WITHIN_S)
            if lacks(self._path):
                _log.error("an insert failed after its token was noted; the next process strikes it out: %s", error)
                logging.shutdown()
                os._exit(1)

    def close(self) -> None:
        """Close the engine: everything answered is on disk. No query may be running."""
        with self._lock:
            for session in self._idle:
                session.close()
            self._idle.clear()
        self._root.close()


def _configured(path: Path) -> Path:
    """Write the engine's configuration beside its folder, whose inside is the engine's alone."""
    file = path.with_name(f"{path.name}.xml")
    file.write_text(f"<clickhouse>{_elements(_SERVER)}<merge_tree>{_elements(_MERGE_TREE)}</merge_tree></clickhouse>\n")
    return file


def _elements(settings: Mapping[str, int] | Mapping[str, int | str]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())
