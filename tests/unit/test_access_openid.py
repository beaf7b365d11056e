"""A token is believed if the provider signed it, for us, now, for this sign-in; and what its claims mean here."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from controlplane.contract.access import Grant, Role
from controlplane.service.access.claims import grants_of, name_of, rules_of
from controlplane.service.access.id_token import ForgedError, claims_of
from controlplane.service.access.openid_answers import local_path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = int(NOW.timestamp())
GOOD = {"iss": "https://id.example", "aud": "tidegate", "sub": "1", "nonce": "n", "iat": AT, "exp": AT + 300}
OURS = RSAKey.generate_key(2048, {"kid": "ours"})
THEIRS = RSAKey.generate_key(2048, {"kid": "ours"})
CURVE = ECKey.generate_key("P-256", {"kid": "curve"})
KEYS = KeySet([OURS, CURVE])


def believed(token: str, now: datetime = NOW) -> dict[str, Any]:
    return claims_of(token, KEYS, issuer="https://id.example", client="tidegate", nonce="n", now=now)


def signed(claims: dict[str, Any], key: Any = OURS, algorithm: str = "RS256") -> str:
    kid = {"kid": key.kid} if getattr(key, "kid", None) else {}
    return jwt.encode({"alg": algorithm, **kid}, claims, key, algorithms=[algorithm])


def _part(said: dict[str, Any] | bytes) -> str:
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unsigned() -> str:
    return f"{_part({'alg': 'none'})}.{_part(GOOD)}."


def _by_public_key() -> str:
    """The public key, which everybody has, taken for a shared secret."""
    said = f"{_part({'alg': 'HS256', 'kid': 'ours'})}.{_part(GOOD)}"
    return f"{said}.{_part(hmac.digest(OURS.as_pem(private=False), said.encode(), 'sha256'))}"


def _changed() -> str:
    head, body, signature = signed(GOOD).split(".")
    claims = json.loads(base64.urlsafe_b64decode(f"{body}=="))
    claims["sub"] = "2"
    return f"{head}.{_part(claims)}.{signature}"


def test_a_good_token_is_believed_whichever_key_of_the_provider_signed_it() -> None:
    assert believed(signed(GOOD)) == GOOD
    assert believed(signed({**GOOD, "aud": ["tidegate"]}, CURVE, "ES256"))["sub"] == "1"


@pytest.mark.parametrize(
    "token",
    [
        signed(GOOD, THEIRS),
        _changed(),
        _unsigned(),
        _by_public_key(),
        signed({**GOOD, "aud": "another"}),
        signed({**GOOD, "aud": ["another"]}),
        signed({**GOOD, "aud": ["tidegate", "another"]}),
        signed({**GOOD, "azp": "another"}),
        signed({**GOOD, "iss": "https://evil.example"}),
        signed({**GOOD, "exp": AT - 61}),
        signed({**GOOD, "iat": AT + 120}),
        signed({**GOOD, "nonce": "of another sign-in"}),
        *(signed({key: value for key, value in GOOD.items() if key != left_out}) for left_out in GOOD),
        "no token",
        "",
    ],
    ids=[
        "signed-by-another", "changed", "alg-none", "public-key-as-secret", "for-another", "for-another-in-a-list",
        "for-several-and-nobody-says-which", "may-be-used-by-another", "of-another-issuer", "expired",
        "of-the-future", "of-another-sign-in", *(f"without-{each}" for each in GOOD), "garbage", "empty",
    ],
)  # fmt: skip
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(ForgedError):
        believed(token)


def test_a_token_holds_until_its_time_and_clocks_may_differ_by_a_minute() -> None:
    token = signed(GOOD)
    assert believed(token, NOW + timedelta(seconds=359))
    with pytest.raises(ForgedError):
        believed(token, NOW + timedelta(seconds=361))


def test_claims_give_roles_by_the_rules_and_whoever_fits_none_has_none() -> None:
    rules = rules_of("groups=ops:operator@shop,flights; groups=admins:admin;team=red:approver")
    operator = Grant(role=Role.OPERATOR, streams=("shop", "flights"))
    assert grants_of({"groups": ["ops", "x"]}, rules) == (operator,)
    assert grants_of({"groups": ["ops", "admins"]}, rules) == (operator, Grant(role=Role.ADMIN))
    assert grants_of({"team": "red"}, rules) == (Grant(role=Role.APPROVER),)
    assert grants_of({"groups": "opsx", "team": ["blue"]}, rules) == ()
    assert grants_of({}, rules_of("*:viewer")) == (Grant(role=Role.VIEWER),)
    assert grants_of({"groups": ["ops"]}, ()) == ()


@pytest.mark.parametrize("text", ["groups:admin", "groups=ops", "groups=ops:boss", "=x:viewer", ":viewer", "viewer"])
def test_a_rule_that_is_none_is_named_when_the_control_plane_starts(text: str) -> None:
    with pytest.raises(ValueError, match="TIDEGATE_OIDC_ROLES"):
        rules_of(text)


def test_nobody_of_a_provider_is_called_as_a_local_user_or_by_an_address_that_is_not_verified() -> None:
    assert name_of({"sub": "1", "preferred_username": "ana"}) == "oidc:ana"
    assert name_of({"sub": "1", "email": "root@x", "email_verified": False}) == "oidc:1"
    assert name_of({"sub": "1", "email": "ana@x", "email_verified": True}) == "oidc:ana@x"
    assert name_of({"sub": "1", "preferred_username": "a\nb"}) == "oidc:ab"


@pytest.mark.parametrize("wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "", "x", "/a\nb"])
def test_only_a_page_of_the_console_is_gone_to(wanted: str) -> None:
    assert local_path(wanted) == "/"
    assert local_path("/lag?minutes=5") == "/lag?minutes=5"
