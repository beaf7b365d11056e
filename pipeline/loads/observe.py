"""How is the platform while it is loaded? What the control plane says of it, once a second; what nobody says is None."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.lag import ConsumerKind, LagFrame
from controlplane.contract.loads import LoadTarget, Observed

if TYPE_CHECKING:
    from controlplane.contract.loads import LoadAsked
    from controlplane.contract.settings import Settings

_TIMEOUT_S = 2.0
_WAITING = re.compile(r"^tidegate_collector_waiting_events ([0-9.e+]+)$", re.MULTILINE)


class Observer:
    """Asks for one stream; one thread's own."""

    def __init__(self, settings: Settings, asked: LoadAsked) -> None:
        self._stream = asked.stream
        self._collector = settings.collector if asked.target is LoadTarget.COLLECTOR else None
        self._client = httpx.Client(base_url=settings.api, headers=settings.authorization, timeout=_TIMEOUT_S)

    def look(self, t_s: float) -> Observed:
        """How it is now, at a second of the time axis."""
        overview, scaling, lag = (self._asked(f"/api/v1/{each}") for each in ("overview", "scaling", "lag"))
        return Observed(
            t_s=round(t_s, 3),
            lag_s={} if lag is None else lags(LagFrame.model_validate(lag), self._stream),
            pixel_p99_ms=_pixel(overview),
            executors=executors(scaling),
            waiting=None if self._collector is None else self._waiting(self._collector),
        )

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def _asked(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        try:
            return self._client.get(path).raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return None

    def _waiting(self, collector: str) -> float | None:
        try:
            found = _WAITING.search(self._client.get(f"{collector}/metrics").raise_for_status().text)
        except httpx.HTTPError:
            return None
        return None if found is None else float(found[1])


def lags(frame: LagFrame, stream: str) -> dict[str, float | None]:
    """Query of the stream -> how far it is behind; a stale one is not known."""
    return {
        each.lag.consumer: None if each.is_stale else each.lag.lag_s
        for each in frame.consumers
        if each.lag.stream == stream and each.lag.consumer_kind is ConsumerKind.QUERY
    }


def _pixel(overview: Any) -> float | None:  # noqa: ANN401 (JSON)
    found = (overview or {}).get("event_to_pixel")
    return None if found is None else float(found["p99"])


def executors(scaling: Any) -> int | None:  # noqa: ANN401 (JSON)
    """Of all targets; None where none says so, or none can scale: a local session has no executors, which is not a figure of 0."""
    found = [each.get("executors") or {} for each in (scaling or {}).get("targets", ())]
    known = [each["have"] for each in found if each.get("port") not in (None, "local")]
    return sum(known) if known else None
