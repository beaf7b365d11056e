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

import time
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
PATIENCE_S = 60.0
"""So long whoever follows something waits for a control plane that starts anew."""
_AGAIN_AFTER_S = 0.5
_PAGE = 500


class Operations:
    """The API of the platform that runs in a folder."""

    def __init__(self, data: Path | None) -> None:
        try:
            self._api, self._headers = found_control_plane(data)
        except NotRunningError as error:
            fail(str(error), NOT_RUNNING)

    def ask(
        self,
        method: str,
        path: str = "",
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        patience_s: float = 0,
    ) -> Any:  # noqa: ANN401 (JSON)
        """What is answered below `/api/v1/operations`; None when that is nothing.

        Args:
            method: of HTTP.
            path: what follows, with its query.
            body: JSON.
            headers: besides who asks.
            patience_s: so long a control plane that does not answer, or starts anew, is asked again.
        """
        url, until = f"{self._api}{PATH}{path}", time.monotonic() + patience_s
        given = {**self._headers, **(headers or {})}
        while True:
            try:
                answer = httpx.request(method, url, json=body, headers=given, timeout=_TIMEOUT_S)
                said = f"answers {answer.status_code}: {_detail(answer)[:300]}"
            except httpx.HTTPError as error:
                answer, said = None, f"does not answer: {error}"
            if answer is not None and answer.is_client_error:
                fail(_detail(answer), REFUSED if answer.status_code in _REFUSALS else MISTAKEN)
            if answer is not None and not answer.is_error:
                return answer.json() if answer.content else None
            if time.monotonic() > until:
                fail(f"the control plane at {url} {said}", NOT_RUNNING)
            time.sleep(_AGAIN_AFTER_S)

    def one(self, number: str, *, patience_s: float = 0) -> Operation:
        """An operation as it is now; `patience_s` as in `ask`."""
        return Operation.model_validate(self.ask("GET", f"/{quote(number, safe='')}", patience_s=patience_s))

    def follow(self, operation: Operation) -> Iterator[Operation]:
        """An operation each time that it has changed, without an end; a control plane that starts anew is waited for."""
        while True:
            since = quote(operation.changed_at.isoformat())
            path = f"/{operation.id}?wait={_WAIT_S}&since={since}"
            operation = Operation.model_validate(self.ask("GET", path, patience_s=PATIENCE_S))
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
