"""The console over a control plane in this process that shows the made-up moment."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.folders import load_stream
from controlplane.contract.operations import Kind
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.streams import Compatibility
from controlplane.contract.valid import valid_schema
from controlplane.service.api import create_api
from controlplane.service.audit.kept import kept_in
from controlplane.service.database import create_all, engine_of
from controlplane.service.operations.desk import Desk
from controlplane.service.operations.schedules import Schedules
from controlplane.service.registry import FakeRegistry
from controlplane.service.service import Service
from controlplane.up.checks import free_port
from dash_app.app import create_app
from dash_app.data import ConsoleData
from load_tests.bench.browser import served
from load_tests.bench.signed import signed
from load_tests.shown import batch, flow, gates
from load_tests.shown.moment import standing_still
from load_tests.shown.past import clickhouse
from load_tests.shown.rooms import rooms_of
from load_tests.shown.work import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

_FORWARDED = ("alerts", "loads", "quality", "quarantine", "tables", "sql")


@dataclass(frozen=True)
class Stage:
    """A console to look at."""

    address: str
    cookie: str
    """The session of who looks: an admin."""
    operations: Mapping[Kind, str]
    """Ids of the operations that the moment has, by kind."""


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A console of the moment, until the end; it keeps what it needs in an empty folder."""
    with standing_still():
        shop, flights = (load_stream(SHIPPED_STREAMS / name) for name in flow.STREAMS)
        who = signed(folder)
        engine = engine_of(f"sqlite:///{folder / 'control.sqlite'}")
        create_all(engine)
        kept = kept_in(engine, None)
        desk = Desk(engine, [*flow.STREAMS], kept.log)
        schedules = Schedules(engine, desk)
        operations = lay_out(desk, schedules, kept.log)
        api, console, room = free_port(), free_port(), free_port()
        address = f"http://127.0.0.1:{console}"
        service = Service(
            [shop, flights], clickhouse([shop, flights]), address, 0.1, None, _registry(shop), record=kept,
            operations=desk, schedules=schedules,
        )  # fmt: skip
        rooms, counted = rooms_of(shop, flights, folder, who.access.service_token, operations[Kind.LOAD_TEST])
        for at, heard in batch.looks():
            service.fold(heard)
            service.fold(service.scaler.beat(service.known, at))
        service.fold([*flow.facts(), *batch.facts(), *gates.facts(), *counted])
        forwarded = dict.fromkeys(_FORWARDED, f"http://127.0.0.1:{room}")
        with (
            served(create_app(ConsoleData({"shop": shop, "flights": flights}, api)).server, console),
            served(create_api(service, forwarded, access=who.access), api),
            served(rooms, room),
        ):
            yield Stage(address, who.cookie, operations)


def _registry(shop: StreamDefinition) -> FakeRegistry:
    """Two versions of shop's schema; the newer one has a note and longer numbers."""
    registry = FakeRegistry({"shop.raw-value": Compatibility.BACKWARD})
    first = shop.avro_schema
    note = {"name": "note", "type": ["null", "string"], "default": None}
    wider = [{**each, "type": "long"} if each["type"] == "int" else each for each in first["fields"]]
    second = {**first, "fields": [*wider, note]}
    for name, avro in (("shop.raw-value", first), ("shop.valid-value", valid_schema(shop)), ("shop.raw-value", second)):
        registry.register(name, avro)
    return registry
