"""How does the control plane ask the schema registry? By Confluent's REST API, and what it answers is plain values.

Apicurio speaks that API too, but says only yes or no when it is asked whether it would take a schema; its own API has a dry
run that gives the reasons.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx

from controlplane.contract.refusals import causes_in
from controlplane.service.registry import NO_REASON, NotASchemaError, RefusedError, RegistryAwayError, Version

_TIMEOUT_S = 5.0
_CCOMPAT = "/apis/ccompat/"


class HttpRegistry:
    """The real one."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(timeout=_TIMEOUT_S)
        self._known: dict[tuple[str, int], Version] = {}

    def subjects(self) -> list[str]:
        """See `SchemaRegistry`."""
        return sorted(map(str, self._said(self._ask("GET", "/subjects"))))

    def mode(self, subject: str) -> str:
        """See `SchemaRegistry`."""
        answer = self._ask("GET", f"/config/{_quoted(subject)}?defaultToGlobal=true")
        said = self._said(self._ask("GET", "/config") if answer.status_code == httpx.codes.NOT_FOUND else answer)
        return str(said.get("compatibilityLevel") or said.get("compatibility"))

    def versions(self, subject: str) -> list[Version]:
        """See `SchemaRegistry`."""
        answer = self._ask("GET", f"/subjects/{_quoted(subject)}/versions")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        return [self._version(subject, int(number)) for number in sorted(self._said(answer))]

    def objections(self, subject: str, avro: dict[str, Any]) -> tuple[str, ...]:
        """See `SchemaRegistry`."""
        # Apicurio compares with whatever it is told to, whether the mode is transitive or not.
        which = "versions" if self.mode(subject).endswith("_TRANSITIVE") else "versions/latest"
        answer = self._ask("POST", f"/compatibility/subjects/{_quoted(subject)}/{which}?verbose=true", _body(avro))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return ()  # the first version of a subject is compatible
        said = self._said(answer)
        if said["is_compatible"]:
            return ()
        messages = tuple(cause for message in said.get("messages") or () for cause in causes_in(message))
        return messages or self._dry_run(subject, avro) or (NO_REASON,)

    def register(self, subject: str, avro: dict[str, Any]) -> int:
        """See `SchemaRegistry`."""
        answer = self._ask("POST", f"/subjects/{_quoted(subject)}/versions", _body(avro))
        if answer.status_code == httpx.codes.CONFLICT:
            raise RefusedError(causes_in(_message(answer)))
        return int(self._said(answer)["id"])

    def _version(self, subject: str, number: int) -> Version:
        """Asked for once: a version never changes."""
        if (subject, number) not in self._known:
            said = self._said(self._ask("GET", f"/subjects/{_quoted(subject)}/versions/{number}"))
            self._known[subject, number] = Version(version=number, id=said["id"], avro=json.loads(said["schema"]))
        return self._known[subject, number]

    def _dry_run(self, subject: str, avro: dict[str, Any]) -> tuple[str, ...]:
        """What Apicurio would say at registration; nothing when it is another registry."""
        root, is_apicurio, _ = self._url.partition(_CCOMPAT)
        if not is_apicurio:
            return ()
        path = f"/apis/registry/v3/groups/default/artifacts/{_quoted(subject)}/versions?dryRun=true"
        body = {"content": {"content": json.dumps(avro), "contentType": "application/json"}}
        try:
            said = self._client.post(f"{root}{path}", json=body).json()
        except (httpx.HTTPError, ValueError):
            return ()
        return tuple(f"{each['description']} at {each['context']}" for each in said.get("causes") or ())

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
        try:
            return self._client.request(method, f"{self._url}{path}", json=body)
        except httpx.HTTPError as error:
            raise RegistryAwayError(f"the schema registry at {self._url} does not answer: {error}") from error

    def _said(self, answer: httpx.Response) -> Any:  # noqa: ANN401 (JSON of any shape)
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise NotASchemaError(f"the registry cannot read it: {_message(answer)}")
        try:
            return answer.raise_for_status().json()
        except (httpx.HTTPStatusError, ValueError) as error:
            said = f"{answer.status_code} {_message(answer)}"
            raise RegistryAwayError(f"the schema registry at {self._url} answers {said}") from error


def _body(avro: dict[str, Any]) -> dict[str, str]:
    return {"schema": json.dumps(avro), "schemaType": "AVRO"}


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _quoted(subject: str) -> str:
    return quote(subject, safe="")
