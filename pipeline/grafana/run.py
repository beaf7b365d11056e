"""The push as a process: what the control plane pushes is pushed on, at most so many times a second."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.reporting import Heart, notify_ready
from pipeline.grafana.live import OverHttp, OverWebSocket
from pipeline.grafana.points import points_of
from pipeline.grafana.push import Pusher
from pipeline.grafana.watch import Watch, topics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition


def run(settings: Settings, streams: Sequence[StreamDefinition], stopping: threading.Event) -> None:
    """Push until `stopping` is set.

    Raises:
        ValueError: if a topic is named that there is not.
        OSError: if the token is in a file that cannot be read.
    """
    watch = Watch(settings.api, settings.service_token, topics_of(settings.grafana_topics, streams))
    made = OverHttp if settings.grafana_mode == "http" else OverWebSocket
    grafana = made(settings.grafana, settings.grafana_secret)
    pusher, heart = Pusher(grafana), Heart(settings.notify_socket)
    by_name = {stream.name: stream for stream in streams}
    watching = threading.Thread(target=watch.run, args=(stopping,), name="watch", daemon=True)
    watching.start()
    notify_ready(settings.notify_socket, f"pushes to {settings.grafana} by {settings.grafana_mode}")
    while not stopping.wait(1 / settings.grafana_rate):
        now = datetime.now(UTC)
        if pusher.is_due(now):
            pusher.push((point for frame in watch.take() for point in points_of(frame, by_name, now)), now)
        heart.beat(watch.reason or (f"Grafana {pusher.reason}" if pusher.reason else ""))
    grafana.close()
    watching.join(2)
