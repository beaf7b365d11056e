"""How do the parts stand meanwhile? The overview is asked for again and again."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVERY_S = 0.2


class Witness:
    """Watches the control plane's overview from a thread of its own; `close` ends it."""

    def __init__(self, api: str, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._url = f"{api}/api/v1/overview"
        self._closing = threading.Event()
        self.now: dict[str, Any] = {}
        """The newest overview; empty while the control plane does not answer."""
        self.memory: dict[str, list[int]] = defaultdict(list)
        """Part -> resident bytes over time."""
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)
        self._thread.start()

    def states(self) -> dict[str, str]:
        """Part -> state, as known now."""
        return {part["part"]: part["state"] for part in self.now.get("parts", ())}

    def complaints(self) -> str:
        """What is said to be wrong now, and what each part waits for."""
        parts = [
            f"{each['part']} {each['state']}: {each['reason']}" for each in self.now.get("parts", ()) if each["reason"]
        ]
        problems = [f"{each['subject']} {each['reason']}" for each in self.now.get("problems", ())]
        return "; ".join((*parts, *problems))

    def events(self, stream: str, hop: str) -> int | None:
        """Count of a hop, as known now."""
        streams = {each["name"]: each for each in self.now.get("streams", ())}
        hops = {each["hop"]: each for each in streams.get(stream, {}).get("hops", ())}
        count: int | None = hops.get(hop, {}).get("events")
        return count

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join(5)

    def _watch(self) -> None:
        with httpx.Client(headers=self._headers, timeout=2) as client:
            while not self._closing.wait(_EVERY_S):
                self._look(client)

    def _look(self, client: httpx.Client) -> None:
        try:
            self.now = client.get(self._url).raise_for_status().json()
        except httpx.HTTPError:
            self.now = {}
            return
        for part in self.now["parts"]:
            if part["memory_bytes"]:
                self.memory[part["part"]].append(part["memory_bytes"])
