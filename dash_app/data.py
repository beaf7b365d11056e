"""What does the console need to know? The streams, and where the hub is. Everything else is pushed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.contract.streams import StreamDefinition


@dataclass(frozen=True)
class ConsoleData:
    """What a console is made from."""

    streams: Mapping[str, StreamDefinition]
    push_port: int | None
    """Port of the hub; None when the hub is served by the console itself, as in the demo."""


def push_port(api: str) -> int:
    """The hub's port in the control plane's address."""
    parts = urlsplit(api)
    return parts.port or (443 if parts.scheme == "https" else 80)
