"""How does a command ask for operations? An answer, or the end of the command with an exit code.

| code | what it says |
|---|---|
| 0 | done |
| 1 | the operation has failed |
| 2 | it was asked for wrongly |
| 3 | no platform runs, or it does not answer |
| 4 | refused: no right, a conflict, a stale plan, not confirmed |
| 5 | cancelled |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from controlplane.commands.credentials import found_control_plane
from controlplane.commands.terminal import fail
from controlplane.contract.operations import PATH, LogLine, Operation, OperationState
from controlplane.up.running import NotRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DONE, FAILED, MISTAKEN, NOT_RUNNING, REFUSED, CANCELLED = range(6)
EXITS = {OperationState.DONE: DONE, OperationState.FAILED: FAILED, OperationState.CANCELLED: CANCELLED}
"""How an operation has ended -> exit code."""
_REFUSALS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS)
_WAIT_S = 15
_TIMEOUT_S = 30.0
_PAGE = 500


class Operations:
    """The API of the platform that runs in a folder."""

    def __init__(self, data: Path | None) -> None:
        try:
            self._api, self._headers = found_control_plane(data)
        except NotRunningError as error:
            fail(str(error), NOT_RUNNING)

    def ask(self, method: str, path: str = "", body: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 (JSON)
        """What is answered below `/api/v1/operations`; None when that is nothing."""
        url = f"{self._api}{PATH}{path}"
        try:
            answer = httpx.request(
                method, url, json=body, headers={**self._headers, **(headers or {})}, timeout=_TIMEOUT_S
            )
        except httpx.HTTPError as error:
            fail(f"the control plane at {url} does not answer: {error}", NOT_RUNNING)
        if answer.is_client_error:
            fail(_detail(answer), REFUSED if answer.status_code in _REFUSALS else MISTAKEN)
        if answer.is_error:
            fail(f"the control plane at {url} answers {answer.status_code}: {_detail(answer)[:300]}", NOT_RUNNING)
        return answer.json() if answer.content else None

    def one(self, number: str) -> Operation:
        """An operation as it is now."""
        return Operation.model_validate(self.ask("GET", f"/{quote(number, safe='')}"))

    def follow(self, operation: Operation) -> Iterator[Operation]:
        """An operation each time that it has changed, without an end."""
        while True:
            since = quote(operation.changed_at.isoformat())
            path = f"/{operation.id}?wait={_WAIT_S}&since={since}"
            operation = Operation.model_validate(self.ask("GET", path))
            yield operation

    def log(self, number: str, after: int = 0) -> Iterator[LogLine]:
        """Lines of an operation's log, oldest first."""
        while True:
            page = self.ask("GET", f"/{quote(number, safe='')}/log?cursor={after}&limit={_PAGE}")
            yield from map(LogLine.model_validate, page["items"])
            if len(page["items"]) < _PAGE:
                return
            after = int(page["next"])


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text
