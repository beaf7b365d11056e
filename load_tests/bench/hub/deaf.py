"""Watchers that open a socket, subscribe, and never read: the kernel's buffers are full soon. One that is closed comes again."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from load_tests.bench.hub.watching import SUBSCRIBE, request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BUFFER_BYTES = 4096
_LOOK_EVERY_S = 0.5
_WITHIN_S = 10.0


@contextmanager
def deaf(port: int, cookies: Sequence[str]) -> Iterator[None]:
    """One for each cookie, for as long as the block runs."""
    is_over = threading.Event()
    threads = [threading.Thread(target=_again, args=(port, cookie, is_over), daemon=True) for cookie in cookies]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join(_WITHIN_S)


def _again(port: int, cookie: str, is_over: threading.Event) -> None:
    while not is_over.is_set():
        with _connected(port, cookie) as connected:
            poll = select.poll()
            # What can be read is not asked for: only that the other side has ended it.
            poll.register(connected, select.POLLHUP | select.POLLERR)
            while not is_over.is_set() and not poll.poll(_LOOK_EVERY_S * 1000):
                pass


def _connected(port: int, cookie: str) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    made.settimeout(_WITHIN_S)
    made.connect(("127.0.0.1", port))
    made.sendall(request(port, cookie))
    said = b""
    while b"\r\n\r\n" not in said:
        said += made.recv(1)
    made.sendall(SUBSCRIBE)
    return made
