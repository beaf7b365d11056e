"""A platform whose supervisor is at work while somebody else drives: a browser, a feed, a clock."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.up import Platform


@contextmanager
def beating(platform: Platform) -> Iterator[None]:
    """As when the platform runs, for as long as the block does."""
    stopping = threading.Event()
    thread = threading.Thread(target=platform.run_until, args=(stopping.is_set,), name="supervisor")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
