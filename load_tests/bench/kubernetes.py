"""A stand-in of a Kubernetes cluster, for tests: of pods it takes what the API server takes, and refuses what that refuses.

Written from what Kubernetes publishes: the API conventions (status objects, reasons, resource versions, watch events), the
reference of Pod and ConfigMap (names, labels, quantities, volumes, what a patch may change), and label selectors. A pod's
container is run as Spark's own image would run it, as a process of this machine (`kubelet`); the pod's phase follows the process,
and a pod that is deleted ends within its grace period. It has one namespace and no node, and knows neither accounts nor quotas.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from load_tests.bench.kubernetes_rules import Refused, check, is_selected, merged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from load_tests.bench.kubelet import Kubelet

NAMESPACE = "default"
_KINDS = {
    "pods": "Pod",
    "configmaps": "ConfigMap",
    "services": "Service",
    "persistentvolumeclaims": "PersistentVolumeClaim",
}
_BASE = "/api/v1/namespaces/{namespace}/{kind}"
_EVENTS_AT_MOST = 10_000
_LOOK_EVERY_S = 0.05
Thing = dict[str, Any]


@dataclass
class Store:
    """What there is, and what has happened to it, by resource version."""

    things: dict[tuple[str, str], Thing] = field(default_factory=dict)
    events: deque[tuple[int, str, str, Thing]] = field(default_factory=lambda: deque(maxlen=_EVENTS_AT_MOST))
    version: int = 0
    refused: list[str] = field(default_factory=list)
    """What it did not take, and why."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, kind: str, thing: Thing, what: str) -> Thing:
        """Keep it under a new version, and tell who watches."""
        with self.lock:
            self.version += 1
            kept = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
            key = (kind, kept["metadata"]["name"])
            if what == "DELETED":
                self.things.pop(key, None)
            else:
                self.things[key] = kept
            self.events.append((self.version, kind, what, kept))
            return kept

    def get(self, kind: str, name: str) -> Thing:
        """One of them.

        Raises:
            Refused: if there is none.
        """
        found = self.things.get((kind, name))
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "NotFound", f'{kind} "{name}" not found')
        return found

    def chosen(self, kind: str, labels: str, fields: str) -> list[Thing]:
        """Those that selectors name."""
        with self.lock:
            return [
                thing for (its, _), thing in self.things.items() if its == kind and is_selected(thing, labels, fields)
            ]

    def create(self, kind: str, namespace: str, thing: Thing) -> Thing:
        """As POST does."""
        check(thing, _KINDS[kind], namespace)
        with self.lock:
            name = thing["metadata"]["name"]
            if (kind, name) in self.things:
                raise Refused(HTTPStatus.CONFLICT, "AlreadyExists", f'{kind} "{name}" already exists')
            given = {"namespace": namespace, "uid": str(uuid4()), "creationTimestamp": _now()}
            made = {**thing, "metadata": {**thing["metadata"], **given}}
            if kind == "pods":
                made["status"] = {"phase": "Pending"}
            return self.put(kind, made, "ADDED")


@contextmanager
def kubernetes(kubelet: Callable[[Store], Kubelet]) -> Iterator[tuple[str, Store, Kubelet]]:
    """Its address, what it keeps, and who runs its pods."""
    store = Store()
    running = kubelet(store)
    server = uvicorn.Server(
        uvicorn.Config(_api(store, running), host="127.0.0.1", port=0, log_level="warning", ws="websockets-sansio")
    )
    thread = threading.Thread(target=server.run, name="kubernetes", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the stand-in of Kubernetes could not be served: see what uvicorn has logged")
        time.sleep(_LOOK_EVERY_S)
    [port] = {each.getsockname()[1] for listener in server.servers for each in listener.sockets}
    try:
        yield f"http://127.0.0.1:{port}", store, running
    finally:
        running.close()
        server.should_exit = True
        thread.join(10)


def _api(store: Store, kubelet: Kubelet) -> FastAPI:
    api = FastAPI(openapi_url=None)

    @api.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        store.refused.append(f"{error.code} {error.message}")
        return JSONResponse(error.status(), error.code)

    _reads(api, store)
    _writes(api, store, kubelet)
    return api


def _reads(api: FastAPI, store: Store) -> None:
    @api.get(_BASE, response_model=None)
    async def listed(namespace: str, kind: str, request: Request) -> Thing | StreamingResponse:
        _require(namespace, kind)
        labels, fields, since = _asked(request.query_params, store)
        if request.query_params.get("watch") in ("true", "1"):
            lines = (f"{json.dumps(each)}\n" async for each in _watch(store, kind, labels, fields, since))
            return StreamingResponse(lines, media_type="application/json")
        items = store.chosen(kind, labels, fields)
        version = {"resourceVersion": str(store.version)}
        return {"kind": f"{_KINDS[kind]}List", "apiVersion": "v1", "metadata": version, "items": items}

    @api.websocket(_BASE)
    async def watched(socket: WebSocket, namespace: str, kind: str) -> None:
        _require(namespace, kind)
        await socket.accept()
        try:
            async for each in _watch(store, kind, *_asked(socket.query_params, store)):
                await socket.send_text(json.dumps(each))
        except (WebSocketDisconnect, RuntimeError):  # who watched has gone
            return

    @api.get(_BASE + "/{name}")
    async def one(namespace: str, kind: str, name: str) -> Thing:
        _require(namespace, kind)
        return store.get(kind, name)


def _writes(api: FastAPI, store: Store, kubelet: Kubelet) -> None:
    @api.post(_BASE, status_code=201)
    async def create(namespace: str, kind: str, request: Request) -> Thing:
        _require(namespace, kind)
        made = store.create(kind, namespace, await request.json())
        if kind == "pods":
            kubelet.take(made)
        return made

    @api.delete(_BASE)
    async def delete_chosen(namespace: str, kind: str, request: Request) -> Thing:
        _require(namespace, kind)
        labels, fields, _ = _asked(request.query_params, store)
        for thing in store.chosen(kind, labels, fields):
            _delete(store, kubelet, kind, thing)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    @api.delete(_BASE + "/{name}")
    async def delete(namespace: str, kind: str, name: str) -> Thing:
        _require(namespace, kind)
        return _delete(store, kubelet, kind, store.get(kind, name))

    @api.patch(_BASE + "/{name}")
    async def patch(namespace: str, kind: str, name: str, request: Request) -> Thing:
        _require(namespace, kind)
        how = request.headers.get("content-type", "").split(";")[0]
        changed = merged(store.get(kind, name), await request.json(), how)
        check(changed, _KINDS[kind], namespace)
        return store.put(kind, changed, "MODIFIED")


def _asked(query: Mapping[str, str], store: Store) -> tuple[str, str, int]:
    """Label selector, field selector, and the version after which to watch."""
    return (
        query.get("labelSelector", ""),
        query.get("fieldSelector", ""),
        int(query.get("resourceVersion") or store.version),
    )


def _require(namespace: str, kind: str) -> None:
    if kind not in _KINDS:
        raise Refused(HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource")
    if namespace != NAMESPACE:
        raise Refused(HTTPStatus.NOT_FOUND, "NotFound", f'namespaces "{namespace}" not found')


def _delete(store: Store, kubelet: Kubelet, kind: str, thing: Thing) -> Thing:
    """A pod ends first: it is there, being deleted, until its container has."""
    if kind != "pods":
        return store.put(kind, thing, "DELETED")
    metadata = {**thing["metadata"], "deletionTimestamp": _now(), "deletionGracePeriodSeconds": 30}
    deleting = store.put(kind, {**thing, "metadata": metadata}, "MODIFIED")
    kubelet.end(deleting)
    return deleting


async def _watch(store: Store, kind: str, labels: str, fields: str, since: int) -> AsyncIterator[Thing]:
    seen = since
    while True:
        with store.lock:
            new = [each for each in store.events if each[0] > seen]
        for version, its, what, thing in new:
            seen = version
            if its == kind and is_selected(thing, labels, fields):
                yield {"type": what, "object": thing}
        await asyncio.sleep(_LOOK_EVERY_S)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
