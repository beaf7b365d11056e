"""`python -P -m controlplane`: the control plane's API and hub, as one process."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from controlplane.contract.access import LOCAL_TOKEN, service_token, session_cookie
from controlplane.contract.folders import StreamInvalidError, load_probe, load_streams
from controlplane.contract.settings import Settings
from controlplane.service.access.access import Access, Terms
from controlplane.service.access.claims import rules_of
from controlplane.service.access.known import named
from controlplane.service.access.openid import OpenId, Provider
from controlplane.service.access.openid_answers import BACK
from controlplane.service.api import create_api
from controlplane.service.audit.kept import kept_in
from controlplane.service.clickhouse import query_of
from controlplane.service.confluent import HttpRegistry
from controlplane.service.database import create_all, engine_of
from controlplane.service.history import HistoryFile
from controlplane.service.hub import Most
from controlplane.service.observations.keeper import Keeper
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.service.orders import OrderFile
from controlplane.service.scaling.kept import ScalingFile
from controlplane.service.service import Service
from controlplane.service.verdict_file import VerdictFile
from controlplane.service.wire import UVICORN, Wire

if TYPE_CHECKING:
    from types import FrameType

    from sqlalchemy import Engine

    from controlplane.service.operations.bell import Bell


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for client in ("urllib3", "clickhouse_connect"):
        # Every try that fails is a warning to them; that ClickHouse does not answer is a problem that the console shows.
        logging.getLogger(client).setLevel(logging.ERROR)
    settings = Settings()
    try:
        streams = load_streams(settings.stream_roots)
    except StreamInvalidError as error:
        sys.exit(str(error))
    history = HistoryFile(settings.data / "control" / "history.sqlite")
    query, tick_s = query_of(settings.clickhouse), settings.push_tick.total_seconds()
    registry = HttpRegistry(settings.registry)
    orders = OrderFile(settings.data / "control" / "orders.json")
    verdicts = VerdictFile(settings.data / "control" / "verdicts.sqlite")
    scaling = ScalingFile(settings.data / "control" / "scaling.json")
    engine = engine_of(settings.database_url)
    create_all(engine)
    record = kept_in(engine, settings.kafka)
    access = _access(settings, engine)
    desk = Desk(engine, [stream.name for stream in streams], record.log)
    service = Service(
        streams,
        query,
        settings.console,
        tick_s,
        history,
        registry,
        orders=orders,
        verdict_file=verdicts,
        scaling=scaling,
        keeper=Keeper(settings.clickhouse),
        record=record,
        operations=desk,
        schedules=Schedules(engine, desk, partial(named, access.users)),
        watchers=Most(settings.push_clients, settings.push_clients_each),
        probe=load_probe(settings),
    )
    rooms = {
        "quarantine": settings.quality,
        "quality": settings.quality,
        "alerts": settings.alerts,
        "tables": settings.operations,
        "sql": settings.operations,
        "trials": settings.operations,
        "loads": settings.operations,
    }
    address = urlsplit(settings.api)
    config = uvicorn.Config(
        create_api(service, rooms, access=access),
        host=address.hostname or "127.0.0.1",
        port=address.port or 8090,
        log_level="warning",
        timeout_graceful_shutdown=2,
        ws=Wire,
        **UVICORN,
    )
    _Server(config, desk.bell).run()


class _Server(uvicorn.Server):
    """Lets go those who wait for news of operations when it is told to stop."""

    def __init__(self, config: uvicorn.Config, bell: Bell) -> None:
        super().__init__(config)
        self._bell = bell

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._bell.close()
        super().handle_exit(sig, frame)


def _access(settings: Settings, engine: Engine) -> Access:
    terms = Terms(settings.session_idle, settings.session_lasts, settings.console, session_cookie(settings.api))
    local = service_token(settings.data / LOCAL_TOKEN)
    return Access(engine, terms, _now, settings.service_token, local, _openid(settings))


def _openid(settings: Settings) -> OpenId | None:
    if not settings.oidc_issuer:
        return None
    rules, back = rules_of(settings.oidc_roles), f"{settings.api.rstrip('/')}{BACK}"
    secret = settings.oidc_secret
    return OpenId(Provider(settings.oidc_issuer, settings.oidc_client_id, secret, rules, back), _now)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
