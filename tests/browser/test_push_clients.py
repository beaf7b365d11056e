"""Both clients of the hub over real sockets: they go on after a cut without a gap, begin anew at another hub, say how they are."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from controlplane.cli import app
from controlplane.client.push import RefusedError, Watch
from controlplane.commands import watch as command
from controlplane.contract.access import Grant, Role, authorization
from controlplane.contract.live import merged
from controlplane.service import push, wire
from controlplane.service.api import create_api
from controlplane.service.service import Service
from controlplane.service.wire import Wire
from controlplane.up.checks import free_port, is_free
from load_tests.bench.browser import opened_console, served
from load_tests.bench.hub.deaf import deaf
from load_tests.bench.hub.serving import TOPIC, clickhouse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from controlplane.contract.streams import StreamDefinition
    from load_tests.bench.signed import Signed

_CLIENT = Path(__file__).parents[2] / "dash_app" / "board" / "client.js"
_WITHIN_S = 15.0
_WITHIN_MS = _WITHIN_S * 1000
_BUCKETS = 120


@dataclass
class Serving:
    """A hub that always has something new, and the address of the page that may open it."""

    service: Service
    port: int
    page: str

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/push"

    def cut(self) -> None:
        """Every connection is gone, as a network takes them: without a word."""
        for client in list(self.service.hub.clients.values()):
            below = client.write.__self__  # type: ignore[attr-defined]
            assert isinstance(below, Wire)
            below.loop.call_soon_threadsafe(below.transport.abort)


@contextmanager
def serving(
    shop: StreamDefinition, who: Signed, port: int, page: str = "http://127.0.0.1:8050", tick_s: float = 0.05
) -> Iterator[Serving]:
    service = Service([shop], clickhouse(), page, tick_s)
    with served(create_api(service, access=who.access), port):
        yield Serving(service, port, page)


def watched(
    hub: Serving, who: Signed, look: Callable[[Watch, list[str]], Awaitable[None]], topics: tuple[str, ...] = (TOPIC,)
) -> list[str]:
    """Watch until it has been looked at; how the connection was meanwhile."""
    states: list[str] = []

    async def run() -> None:
        headers = authorization(who.access.tokens.make("ana", "a test", None, who.access.now())[1])
        async with Watch(hub.url, topics, headers, lambda state: states.append(state.connection)) as watch:
            await asyncio.wait_for(look(watch, states), _WITHIN_S)

    asyncio.run(run())
    return states


def test_a_program_goes_on_after_a_cut_without_a_gap(shop: StreamDefinition, who: Signed) -> None:
    async def look(watch: Watch, _: list[str]) -> None:
        seqs = []
        async for told in watch:
            seqs.append(told.seq)
            assert len(told.data["buckets"]) == _BUCKETS, "partial frames are put together"
            if len(seqs) == 5:
                hub.cut()
            if len(seqs) == 15:
                break
        assert seqs == list(range(seqs[0], seqs[0] + 15)), "what was told while it was away has come, too"
        age = watch.age_s(TOPIC)
        assert age is not None
        assert age < 5
        assert watch.offset.error_ms is not None
        assert abs(watch.offset.ms) <= watch.offset.error_ms + 5, "it is one clock"

    with serving(shop, who, free_port()) as hub:
        assert watched(hub, who, look) == ["live", "offline", "resuming", "live"]


def test_a_program_begins_anew_at_another_hub(shop: StreamDefinition, who: Signed) -> None:
    port = free_port()

    async def look(watch: Watch, states: list[str]) -> None:
        first = await anext(aiter(watch))
        before = watch.latest[TOPIC]
        one.close()
        one_more = serving(shop, who, port)
        await asyncio.to_thread(one_more.__enter__)
        try:
            async for told in watch:
                if told.epoch != first.epoch:
                    break
            assert (told.full, told.seq < before.seq + 100, states[-1]) == (True, True, "live")
        finally:
            await asyncio.to_thread(one_more.__exit__, None, None, None)

    with ExitStack() as one:
        hub = one.enter_context(serving(shop, who, port))
        assert watched(hub, who, look)[-3:] == ["offline", "resuming", "live"]


def test_who_may_not_watch_and_what_there_is_not_is_refused_with_the_reason(
    shop: StreamDefinition, who: Signed
) -> None:
    async def refused(url: str, topic: str, token: str) -> str:
        async with Watch(url, [topic], authorization(token)) as watch:
            with pytest.raises(RefusedError) as error:
                await asyncio.wait_for(anext(aiter(watch)), _WITHIN_S)
        return str(error.value)

    with serving(shop, who, free_port()) as hub:
        _, secret = who.access.tokens.make("ana", "a test", None, who.access.now())
        assert "sign" in asyncio.run(refused(hub.url, TOPIC, "tg_forged"))
        assert "live/nobody" in asyncio.run(refused(hub.url, "live/nobody", secret))


def test_who_never_reads_is_closed_and_holds_up_nobody(
    shop: StreamDefinition, who: Signed, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    monkeypatch.setattr(push, "TAKES_WITHIN_S", 0.5)
    monkeypatch.setattr(wire, "_SEND_BUFFER_BYTES", 4096)

    async def look(watch: Watch, _: list[str]) -> None:
        seqs = []
        async for told in watch:
            seqs.append(told.seq)
            if len(hub.service.hub.clients) == 1 and len(seqs) > 20:
                break
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

    with serving(shop, who, free_port(), tick_s=0.01) as hub:
        eventually(lambda: not is_free(hub.port), "the hub listens")
        with deaf(hub.port, [who.cookie]):
            [slow] = eventually(lambda: [*hub.service.hub.clients.values()], "it is connected")
            watched(hub, who, look)
        assert slow.id not in hub.service.hub.clients
        assert len(slow.slots) <= 1, "one update a topic waits, however many were told"


def test_the_command_prints_an_update_a_line(
    shop: StreamDefinition, who: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = who.access.tokens.make("ana", "a test", None, who.access.now())
    with serving(shop, who, free_port()) as hub:
        address = f"http://127.0.0.1:{hub.port}"
        monkeypatch.setattr(command, "control_plane", lambda _: (address, authorization(secret)))
        said = CliRunner().invoke(app, ["watch", TOPIC, "--count", "3", "-o", "json"])
        lines = [json.loads(each) for each in said.stdout.splitlines()]
        assert [(each["topic"], len(each["data"]["buckets"])) for each in lines] == [(TOPIC, _BUCKETS)] * 3
        assert "events 48,000, visitors 9,500" in CliRunner().invoke(app, ["watch", TOPIC, "--count", "1"]).stdout
        assert "ms old: 1 streams, 0 parts" in CliRunner().invoke(app, ["watch", "overview", "--count", "1"]).stdout
        refused = CliRunner().invoke(app, ["watch", "nothing"])
        assert (refused.exit_code, "no such topic: nothing" in refused.stderr) == (2, True)


@contextmanager
def page_of(hub: Serving, page: int, cookie: str) -> Iterator[Any]:
    """A page at the console's address that has the client and nothing else."""

    async def blank(_: Any) -> HTMLResponse:
        return HTMLResponse("<!doctype html><script type=module>window.client = await import('/client.js')</script>")

    async def client(_: Any) -> Response:
        return Response(_CLIENT.read_bytes(), media_type="text/javascript")

    with (
        served(Starlette(routes=[Route("/", blank), Route("/client.js", client)]), page),
        opened_console(hub.page, cookie) as opened,
    ):
        opened.wait_for_function("window.client")
        yield opened


def cases_of_merging() -> list[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """What is held, and a frame: overlapping, far away, longer than the span, with new lines, with a reason."""

    def frame(buckets: range, keys: str, **more: Any) -> dict[str, Any]:
        series = [
            {"key": [key, "x"], "measures": {"n": [at * 1.5 for at in buckets], "m": [None for _ in buckets]}}
            for key in keys
        ]
        more = {"full": False, "reason": None, "bucket_s": 2.0, "span_s": 12.0, **more}
        return {"buckets": [at * 2.0 for at in buckets], "series": series, "totals": {"n": 1, "m": None}, **more}

    return [
        (None, frame(range(3), "a")),
        (frame(range(6), "ab", full=True), frame(range(4, 8), "bc")),
        (frame(range(6), "ab", full=True), frame(range(50, 53), "a")),
        (frame(range(6), "ab", full=True), frame(range(2, 14), "a")),
        (frame(range(6), "a", full=True), frame(range(0), "", reason="away")),
        (frame(range(6), "a", reason="away"), frame(range(5, 7), "a")),
    ]


_WATCH = """([url, topics, token]) => {
  window.states = []; window.updates = [];
  window.watching = window.client.watch({ url, topics, token,
    onState: (state) => window.states.push(state),
    onUpdate: (topic, data, meta) => window.updates.push({ topic, size: data.buckets ? data.buckets.length : 0, ...meta }) });
}"""
_STATES = "window.states.map((state) => state.connection)"


def test_a_page_goes_on_after_a_cut_without_a_gap_and_is_refused_when_signed_out(
    shop: StreamDefinition, who: Signed
) -> None:
    port, page_port = free_port(), free_port()
    address = f"http://127.0.0.1:{page_port}"
    who.access.users.add("bea", [Grant(role=Role.VIEWER)], "a test", who.access.now())
    _, secret = who.access.tokens.make("bea", "a test", None, who.access.now())
    with serving(shop, who, port, address) as hub, page_of(hub, page_port, who.cookie) as page:
        put_together = page.evaluate("(cases) => cases.map((each) => window.client.merge(...each))", cases_of_merging())
        assert put_together == [merged(*each) for each in cases_of_merging()], "both clients and the hub do it alike"
        page.evaluate(_WATCH, [hub.url, [TOPIC, "overview"], None])
        page.wait_for_function("window.updates.length > 6", timeout=_WITHIN_MS)
        hub.cut()
        page.wait_for_function(f"{_STATES}.join() === 'connecting,live,offline,resuming,live'", timeout=_WITHIN_MS)
        seen = page.evaluate("window.updates.length")
        page.wait_for_function(f"window.updates.length > {seen} + 6", timeout=_WITHIN_MS)
        seqs = page.evaluate(f"window.updates.filter((each) => each.topic === '{TOPIC}').map((each) => each.seq)")
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        sizes = page.evaluate(f"window.updates.filter((each) => each.topic === '{TOPIC}').map((each) => each.size)")
        assert set(sizes) == {_BUCKETS}
        [resuming] = page.evaluate("window.states.filter((state) => state.connection === 'resuming')")
        [offline] = page.evaluate("window.states.filter((state) => state.connection === 'offline')")
        assert resuming["since"] == offline["since"], "what is shown is that old"
        page.evaluate("window.watching.close()")
        page.evaluate(_WATCH, [hub.url, ["overview"], secret])
        page.wait_for_function("window.updates.length > 0", timeout=_WITHIN_MS)
        assert {client.person for client in hub.service.hub.clients.values()} == {"bea"}
        who.access.users.disable("bea", is_disabled=True)
        hub.cut()
        page.wait_for_function(f"{_STATES}.at(-1) === 'refused'", timeout=_WITHIN_MS)
