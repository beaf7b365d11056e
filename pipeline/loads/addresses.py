"""May an address be loaded? This machine's loopback always; another only where the settings name it.

Whoever starts a load test chooses neither address nor port: they are those of the platform. In production these are another's
machines, and a load on them has to be meant.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from controlplane.contract.loads import LoadTarget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.settings import Settings


def addresses_of(target: LoadTarget, settings: Settings) -> tuple[str, ...]:
    """What a target's load goes to."""
    match target:
        case LoadTarget.KAFKA:
            return (*settings.kafka.split(","), settings.registry)
        case LoadTarget.COLLECTOR:
            return (settings.collector,)
        case LoadTarget.CONSOLE | LoadTarget.HUB:
            return (settings.api,)


def refused(addresses: Iterable[str], allowed: str) -> list[str]:
    """Those that may not be loaded.

    Args:
        addresses: URLs, or `host:port`.
        allowed: `TIDEGATE_LOAD_TARGETS`.
    """
    named = {each.strip().lower() for each in allowed.split(",") if each.strip()}
    return [each for each in addresses if not _is_loopback(_host(each)) and not {_host(each), _place(each)} & named]


def why_refused(addresses: Iterable[str]) -> str:
    """In words."""
    return (
        f"{', '.join(addresses)} is not on this machine: name it in TIDEGATE_LOAD_TARGETS if it is meant to be loaded"
    )


def _parts(address: str) -> tuple[str, int | None]:
    parts = urlsplit(address.strip() if "://" in address else f"//{address.strip()}")
    return (parts.hostname or "").lower(), parts.port


def _host(address: str) -> str:
    return _parts(address)[0]


def _place(address: str) -> str:
    host, port = _parts(address)
    return f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    """By its literal alone: what a name stands for can change between the plan and the run."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
