"""Two addresses of the sign-in at a provider: from where one is sent there, and where one comes back to.

Who comes back from another site has not their session's cookie with them (it is SameSite=Strict), so the console's sign-in page is
where they go: it asks as a page of our own, sees that they are signed in, and goes on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from fastapi import FastAPI, Request, Response  # noqa: TC002 (FastAPI reads the annotations)
from fastapi.responses import RedirectResponse

from controlplane.contract.access import open_to_all
from controlplane.service.access.answers import PATH, address_of, record, set_cookie
from controlplane.service.access.openid import OpenIdError

if TYPE_CHECKING:
    from controlplane.service.access.access import Access
    from controlplane.service.access.openid import OpenId
    from controlplane.service.audit.port import Audit

BEGIN, BACK = f"{PATH}/openid", f"{PATH}/openid/back"
_COOKIE = "tidegate_openid"
_HOLDS_S = 600
_LONGEST = 2000
_log = logging.getLogger(__name__)


def add_openid(api: FastAPI, access: Access, openid: OpenId, audit: Audit) -> None:
    """Add both."""
    console = access.terms.console.rstrip("/")

    def told(code: str, wanted: str = "/") -> Response:
        return RedirectResponse(f"{console}/sign-in?{urlencode({'why': code, 'next': wanted})}", 303)

    @api.get(BEGIN)
    @open_to_all
    async def begin(request: Request, next: str = "/") -> Response:  # noqa: A002 (the page's word)
        """Send them to the provider; from the address that it knows, because the state's cookie belongs to a host."""
        wanted = local_path(next)
        if request.url.hostname != urlsplit(openid.provider.back).hostname:
            there = openid.provider.back.removesuffix("/back")
            return RedirectResponse(f"{there}?next={quote(wanted, safe='')}", 303)
        try:
            url, state = await openid.begin(wanted)
        except OpenIdError as error:
            _log.warning("nobody can be sent to sign in: %s", error)
            return told(error.code, wanted)
        answer = RedirectResponse(url, 303)
        answer.set_cookie(
            _COOKIE, state, max_age=_HOLDS_S, path=PATH, httponly=True, samesite="lax", secure=access.terms.is_secure
        )
        return answer

    @api.get(BACK)
    @open_to_all
    async def back(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        """Sign in who came back, or say on the sign-in page that they are not."""
        address = address_of(request)
        try:
            if error:
                raise OpenIdError("refused", f"the provider says {error[:100]}")  # noqa: TRY301 (as any other reason)
            came = await openid.end(state[:_LONGEST], request.cookies.get(_COOKIE, ""), code[:_LONGEST])
            issuer = openid.provider.issuer
            user = await asyncio.to_thread(
                access.users.by_identity, issuer, came.subject, came.name, came.grants, access.now()
            )
            if user is None:
                raise OpenIdError("refused", f"{came.name} is disabled here")  # noqa: TRY301 (as any other reason)
        except OpenIdError as refused:
            _log.warning("a sign-in by the provider from %s is refused: %s", address, refused)
            await record(audit, "anonymous", "openid", address, refused)
            return told(refused.code)
        made = await asyncio.to_thread(access.sessions.begin, user.name, address, access.now())
        await record(audit, user.name, "openid", address)
        answer = RedirectResponse(f"{console}/sign-in?{urlencode({'next': came.next})}", 303)
        set_cookie(answer, access, made)
        answer.delete_cookie(_COOKIE, path=PATH)
        return answer


def local_path(wanted: str) -> str:
    """A path of the console; whatever is none leads to its first page."""
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if is_ours and len(wanted) <= _LONGEST else "/"
