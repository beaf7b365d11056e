"""How does the embedded ClickHouse start, and how does it stop?

One process owns a folder: a lock says so before the engine looks at it, because the engine's own words are hard to
read. It stops in the order of what depends on what: no new requests, running ones to their end, then the engine.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from pipeline.embedded.app import Front
from pipeline.embedded.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STOPS = (signal.SIGTERM, signal.SIGINT)
_TO_THE_END_S = 5
"""How long running requests may take to end before they are stopped: less than a supervisor's patience."""
_KEEP_ALIVE_S = 75
_WAITING_AT_MOST = 256
"""Connections that the kernel holds until they are accepted."""
_LOCKED = "Cannot lock file"
_READABLE = 2000
"""Characters of the engine's complaint that are passed on."""


class CannotOpenError(Exception):
    """The folder is in use or damaged, or the port is taken; the text says which, and what to do."""


def serve(
    path: Path, host: str, port: int, on_ready: Callable[[], None] | None = None, lake: Path | None = None
) -> None:
    """Serve the ClickHouse in a folder until SIGTERM or SIGINT; call from the main thread.

    Args:
        path: the folder; made if it is not there.
        host: address to listen on; there are no passwords, so loopback.
        port: TCP port; 0 is not useful, nobody would know which.
        on_ready: called once, when the port answers.
        lake: the folder whose Delta tables `deltaLakeLocal` may read; None for none. Made if it is not there.

    Raises:
        CannotOpenError: if another process has the folder or the port, or the engine cannot read the folder.
        OSError: if the folder cannot be made.
    """
    with ExitStack() as stack:
        path = path.resolve()
        stack.enter_context(_lock(path))
        listening = stack.enter_context(_listen(host, port))
        _confine(lake or path)
        engine = _open(path)
        stack.callback(engine.close)
        front = Front(engine)
        stack.callback(front.close)
        config = uvicorn.Config(
            front,
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_TO_THE_END_S,
            server_header=False,
        )
        asyncio.run(_Server(config, on_ready).serve([listening]))


class _Server(uvicorn.Server):
    """uvicorn, but a signal ends `serve` instead of the process, and it says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for stop in _STOPS:
            loop.add_signal_handler(stop, self.handle_exit, stop, None)
        yield
        for stop in _STOPS:
            loop.remove_signal_handler(stop)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before the engine is opened, which takes a second and leaves files."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_WAITING_AT_MOST)
    except OSError as error:
        raise CannotOpenError(
            f"{host}:{port}: cannot listen there: {error.strerror or error}; stop what does, or choose another port"
        ) from error
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, and without it every small
    # answer waits 40 ms for an acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _confine(readable: Path) -> None:
    """ChDB has no setting for it: `deltaLakeLocal` reads what is inside the folder that the process is in."""
    readable.mkdir(parents=True, exist_ok=True)
    os.chdir(readable)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.mkdir(parents=True, exist_ok=True)
    with (path / "server.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotOpenError(
                f"{path}: process {lock.read().strip() or 'unknown'} serves this folder already; stop it, or choose "
                "another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _open(path: Path) -> Engine:
    with tempfile.TemporaryFile() as heard:
        try:
            with _errors_into(heard.fileno()):
                return Engine(path)
        except RuntimeError as error:
            heard.seek(0)
            said = f"{error} {heard.read().decode(errors='replace')}"[:_READABLE].strip()
            if _LOCKED in said:
                raise CannotOpenError(
                    f"{path}: a process that is not this server has the folder open; stop it, or choose another folder"
                ) from error
            raise CannotOpenError(
                f"{path}: the engine cannot open this folder. It may be damaged: restore it from a copy, or move it "
                f"away and let the platform fill a new one. The engine said: {said}"
            ) from error


@contextmanager
def _errors_into(descriptor: int) -> Iterator[None]:
    """The engine writes why a folder does not open to the process's standard error, and raises an empty sentence."""
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
