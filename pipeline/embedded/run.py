"""What is one request's way through the engine?

It begins with a session, gives its result in pieces, and ends by giving the session back, whether it came to its end,
failed, or was stopped because nobody waits for the answer any more.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from pipeline.embedded.errors import CANCELLED, from_engine, refusal

if TYPE_CHECKING:
    from collections.abc import Generator

    from pipeline.embedded.asked import Request
    from pipeline.embedded.engine import Engine
    from pipeline.embedded.session import Piece, Session

_GATHERED = 1024 * 1024
_GATHERED_WHOLE = 64 * _GATHERED
"""A client that waits for the whole result gets an honest status for results up to this size; above it, chunks."""


_ONCE = "insert_deduplication_token"


class Run:
    """One request in the engine: take until complete, then close; `stop` from anywhere."""

    def __init__(self, engine: Engine, request: Request) -> None:
        self.request = request
        self.is_complete = False
        self.figures: Counter[str] = Counter()
        """Rows and bytes so far, by the names in ClickHouse's summary."""
        self._engine = engine
        self._session: Session | None = None
        self._is_unwanted = False
        self._pieces = self._run()
        self._turn = threading.Lock()
        self._session_lock = threading.Lock()

    def take(self) -> bytes:
        """The next bytes of the result: some MiB, or all that is left, and then it is complete.

        Raises:
            ServerError: the engine's error.
        """
        with self._turn:
            gathered, size = [], 0
            while size < (_GATHERED_WHOLE if self.request.is_whole else _GATHERED) and not self.is_complete:
                piece = next(self._pieces, None)
                self.is_complete = piece is None
                if piece is not None:
                    gathered.append(piece.data)
                    size += len(piece.data)
                    self._count(piece)
            return b"".join(gathered)

    def close(self) -> None:
        """Give up what is left of the result."""
        with self._turn:
            self._pieces.close()

    def stop(self) -> None:
        """Stop it, from another thread."""
        with self._session_lock:
            self._is_unwanted = True
            if self._session is not None:
                self._engine.stop(self._session.name)

    def _count(self, piece: Piece) -> None:
        self.figures.update(
            read_rows=piece.read_rows,
            read_bytes=piece.read_bytes,
            written_rows=piece.written_rows,
            written_bytes=piece.written_bytes,
            result_bytes=len(piece.data),
        )

    def _run(self) -> Generator[Piece, None, None]:
        request = self.request
        try:
            session = self._begin()
            try:
                yield from session.run(request.statement, request.output, request.parameters)
            finally:
                self._end(session)
        except RuntimeError as error:
            if _ONCE in request.settings:
                self._engine.end_if_in_doubt(error)
            raise from_engine(error) from error

    def _begin(self) -> Session:
        request = self.request
        if not request.externals:
            return self._own(self._engine.lease(request.settings, request.database))
        session = self._own(self._engine.lease({}, request.database))
        try:
            for external in request.externals:
                session.take(external)
            session.adopt(request.settings, request.database)
        except BaseException:
            self._end(session)
            raise
        finally:
            session.must_end = True
        return session

    def _own(self, session: Session) -> Session:
        with self._session_lock:
            if not self._is_unwanted:
                self._session = session
                return session
        self._engine.give_back(session)
        raise refusal(CANCELLED, "the client went away before the query began")

    def _end(self, session: Session) -> None:
        with self._session_lock:
            self._session = None
        self._engine.give_back(session)
