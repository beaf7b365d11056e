"""How does somebody sign in at an OpenID provider? Authorization code with PKCE: they go there, and come back with a code.

What must come back with them: the `state` that their own browser was given (else somebody else's sign-in is slipped to them), the
code's verifier, which never left here, and in the ID token the `nonce` of this very sign-in.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from controlplane.service.access.claims import grants_of, name_of
from controlplane.service.access.hashes import new_secret
from controlplane.service.access.id_token import ForgedError, claims_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from controlplane.contract.access import Grant
    from controlplane.service.access.claims import Rule

_SCOPE = "openid profile email"
_TIMEOUT_S = 10.0
_WITHIN_S = 600.0
_PENDING_AT_MOST = 1000
_KNOWN_FOR_S = 3600.0
_log = logging.getLogger(__name__)


class OpenIdError(Exception):
    """They are not signed in; `code` is what their page is told, the message is for the log."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Provider:
    """Who is asked, and what its answers mean here."""

    issuer: str
    client: str
    secret: str
    rules: Sequence[Rule]
    back: str
    """Where they come back to: registered at the provider, exactly."""


@dataclass(frozen=True)
class Came:
    """Who came back."""

    subject: str
    name: str
    grants: tuple[Grant, ...]
    next: str
    """Where they were going: a path of the console."""


@dataclass(frozen=True)
class _Pending:
    nonce: str
    verifier: str
    next: str
    at: float = field(default_factory=time.monotonic)


class OpenId:
    """Sign-ins at one provider.

    Args:
        provider: who is asked.
        now: the clock that tokens are held against.
    """

    def __init__(self, provider: Provider, now: Callable[[], datetime]) -> None:
        self.provider, self._now = provider, now
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._known: tuple[float, dict[str, Any], KeySet] | None = None

    async def begin(self, wanted: str) -> tuple[str, str]:
        """Where they are sent, and the state that their browser keeps.

        Raises:
            OpenIdError: if the provider does not answer.
        """
        config, _ = await self._look()
        state, pending = new_secret(), _Pending(new_secret(), new_secret(), wanted)
        self._pending[state] = pending
        while len(self._pending) > _PENDING_AT_MOST:
            self._pending.popitem(last=False)
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                config["authorization_endpoint"], state=state, nonce=pending.nonce, code_verifier=pending.verifier
            )
        return str(url), state

    async def end(self, state: str, kept: str, code: str) -> Came:
        """Who came back with a code.

        Args:
            state: as it came back.
            kept: as their browser has it.
            code: of the provider.

        Raises:
            OpenIdError: if they are not signed in.
        """
        pending = self._pending.pop(state, None)
        if pending is None or not hmac.compare_digest(state.encode(), kept.encode()):
            raise OpenIdError("refused", "the state is not that of this browser, or it was used before")
        if time.monotonic() - pending.at > _WITHIN_S:
            raise OpenIdError("late", "they came back after more than ten minutes")
        claims = await self._claims(code, pending)
        grants = grants_of(claims, self.provider.rules)
        if not grants:
            raise OpenIdError("no-role", f"TIDEGATE_OIDC_ROLES gives {name_of(claims)} no role")
        return Came(str(claims["sub"]), name_of(claims), grants, pending.next)

    async def _claims(self, code: str, pending: _Pending) -> dict[str, Any]:
        config, keys = await self._look()
        provider = self.provider
        try:
            async with self._client(config) as client:
                answer = await client.fetch_token(
                    config["token_endpoint"], code=code, code_verifier=pending.verifier, grant_type="authorization_code"
                )
                told = {"issuer": provider.issuer, "client": provider.client, "nonce": pending.nonce}
                claims = claims_of(str(answer.get("id_token", "")), keys, now=self._now(), **told)
                return {**await self._more(client, config, str(claims["sub"])), **claims}
        except (OAuthError, httpx.HTTPError, ForgedError) as error:
            # Its keys may have been changed: they are asked for anew at the next sign-in.
            self._known = None
            raise OpenIdError("refused", f"{provider.issuer}: {error}") from error

    async def _more(self, client: AsyncOAuth2Client, config: dict[str, Any], subject: str) -> dict[str, Any]:
        """What the provider says of them besides: groups are often not in the ID token."""
        if "userinfo_endpoint" not in config:
            return {}
        answer = await client.get(config["userinfo_endpoint"])
        found = answer.raise_for_status().json()
        if not isinstance(found, dict) or found.get("sub") != subject:
            raise ForgedError("what the provider says of them is of somebody else")
        return found

    async def _look(self) -> tuple[dict[str, Any], KeySet]:
        if self._known is not None and time.monotonic() - self._known[0] < _KNOWN_FOR_S:
            return self._known[1], self._known[2]
        issuer = self.provider.issuer
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                where = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                config = (await client.get(where)).raise_for_status().json()
                if config["issuer"] != issuer:
                    raise OpenIdError(
                        "away", f"{where} is of {config['issuer']}, not of {issuer}: TIDEGATE_OIDC_ISSUER"
                    )
                keys = KeySet.import_key_set((await client.get(config["jwks_uri"])).raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError, JoseError) as error:
            raise OpenIdError("away", f"{issuer} does not answer as a provider does: {error}") from error
        self._known = (time.monotonic(), config, keys)
        return config, keys

    def _client(self, config: dict[str, Any] | None = None) -> AsyncOAuth2Client:
        ways = (config or {}).get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        way = "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"
        return AsyncOAuth2Client(
            self.provider.client,
            self.provider.secret,
            scope=_SCOPE,
            redirect_uri=self.provider.back,
            code_challenge_method="S256",
            token_endpoint_auth_method=way if self.provider.secret else "none",
            timeout=_TIMEOUT_S,
        )
