"""How is the platform while it is loaded? What the control plane says of it, once a second; what nobody says is None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.lag import ConsumerKind, LagFrame
from controlplane.contract.loads import Observed

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings

_TIMEOUT_S = 2.0


class Observer:
    """Asks for one stream; one thread's own."""

    def __init__(self, settings: Settings, stream: str) -> None:
        self._stream = stream
        self._client = httpx.Client(base_url=settings.api, headers=settings.authorization, timeout=_TIMEOUT_S)

    def look(self, t_s: float) -> Observed:
        """How it is now, at a second of the time axis."""
        overview, scaling, lag = (self._asked(f"/api/v1/{each}") for each in ("overview", "scaling", "lag"))
        return Observed(
            t_s=round(t_s, 3),
            lag_s={} if lag is None else lags(LagFrame.model_validate(lag), self._stream),
            pixel_p99_ms=_pixel(overview),
            executors=_executors(scaling),
        )

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def _asked(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        try:
            return self._client.get(path).raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return None


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


def _executors(scaling: Any) -> int | None:  # noqa: ANN401 (JSON)
    found = [(each.get("executors") or {}).get("have") for each in (scaling or {}).get("targets", ())]
    known = [each for each in found if each is not None]
    return sum(known) if known else None
