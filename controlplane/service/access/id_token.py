"""Is this who the provider says it is? An ID token is believed if the provider signed it, for us, now, and for this very sign-in.

OpenID Connect Core 1.0, 3.1.3.7. Only signatures by a key pair are taken: `none`, and a secret that we know too, prove nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError

if TYPE_CHECKING:
    from datetime import datetime

    from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_S = 60


class ForgedError(Exception):
    """It is not believed; says why, for the log."""


def claims_of(  # noqa: PLR0913 (what it is held against)
    token: str, keys: KeySet, *, issuer: str, client: str, nonce: str, now: datetime
) -> dict[str, Any]:
    """What an ID token says.

    Args:
        token: as the provider answered it.
        keys: of the provider.
        issuer: who must have made it.
        client: whom it must be for.
        nonce: of this sign-in.
        now: to see whether it holds.

    Raises:
        ForgedError: if it is not believed.
    """
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        claims: dict[str, Any] = dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
        registry.validate(claims)
    except (JoseError, ValueError) as error:
        raise ForgedError(f"{type(error).__name__}: {error}") from error
    others = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims.get("azp", client) != client or (len(others) > 1 and "azp" not in claims):
        raise ForgedError(f"it is for {others}, and {claims.get('azp')} may use it, not {client}")
    return claims
