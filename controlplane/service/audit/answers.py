"""What does the API say of the record? Its entries, the newest first, one of them, and whether the chain holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import HTTPException, Query
from pydantic import AwareDatetime  # noqa: TC002 (FastAPI reads the annotation)

from controlplane.contract.access import Action, needs
from controlplane.contract.audit import PATH
from controlplane.service.audit.log import Wanted

if TYPE_CHECKING:
    from fastapi import FastAPI

    from controlplane.service.audit.kept import Kept

_PAGE_AT_MOST = 1000


def add_audit(api: FastAPI, kept: Kept | None) -> None:
    """Add `GET /api/v1/audit`, `/api/v1/audit/chain` and `/api/v1/audit/<seq>`; without a record they answer 503."""

    def there() -> Kept:
        if kept is None:
            raise HTTPException(503, "this control plane keeps no record")
        return kept

    @api.get(PATH)
    @needs(Action.AUDIT)
    async def search(  # noqa: PLR0913 (each is a filter)
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        stream: str | None = None,
        outcome: str | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        text: str | None = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_AT_MOST)] = 100,
        cursor: Annotated[int | None, Query(ge=1)] = None,
        after: Annotated[int | None, Query(ge=0)] = None,
    ) -> dict[str, Any]:
        """Entries, the newest first; `next` is the cursor of the page of those before them, null at the end.

        `action` may end in a star; `text` is looked for in actor, action, subject, reason and details. With `after` all
        entries behind that one, the oldest first and without filters: to carry the record elsewhere.
        """
        if after is not None:
            page = await asyncio.to_thread(there().log.after, after, limit)
            return {"items": [each.model_dump(mode="json") for each in page], "next": None}
        wanted = Wanted(
            actor=actor,
            action=action,
            subject=subject,
            stream=stream,
            outcome=outcome,
            since=since,
            until=until,
            text=text,
        )
        found = await asyncio.to_thread(there().log.search, wanted, limit + 1, cursor)
        shown = found[:limit]
        return {
            "items": [each.model_dump(mode="json") for each in shown],
            "next": str(shown[-1].seq) if len(found) > limit else None,
        }

    @api.get(f"{PATH}/chain")
    @needs(Action.AUDIT)
    async def chain(fresh: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (a query parameter)
        """Whether the chain holds, as last walked; `fresh=true` walks it now. And how far the export to Kafka is."""
        kept = there()
        if fresh or kept.chain.last is None:
            await asyncio.to_thread(kept.chain.walk)
        return await asyncio.to_thread(kept.said)

    @api.get(PATH + "/{seq}")
    @needs(Action.AUDIT)
    async def entry(seq: int) -> dict[str, Any]:
        """One entry."""
        found = await asyncio.to_thread(there().log.entry, seq)
        if found is None:
            last, _ = await asyncio.to_thread(there().log.last)
            raise HTTPException(404, f"there is no entry {seq}; the last one is {last}")
        return found.model_dump(mode="json")
