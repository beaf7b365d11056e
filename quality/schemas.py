"""Which schemas are there? Asked of the registry: one by its id for good, a stream's versions anew after some seconds."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
from fastavro import parse_schema

_TIMEOUT_S = 5.0
_VERSIONS_FOR_S = 5.0
_AGAIN_AFTER_S = 10.0


class RegistryAwayError(Exception):
    """The registry does not say; says why."""


class Schemas:
    """Avro schemas of a registry that speaks Confluent's REST API."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(timeout=_TIMEOUT_S)
        self._by_id: dict[int, dict[str, Any]] = {}
        self._missing: dict[int, float] = {}
        self._versions: dict[str, tuple[float, dict[int, dict[str, Any]]]] = {}

    def of_id(self, schema_id: int) -> dict[str, Any] | None:
        """A schema; None when the registry has none of that id.

        Raises:
            RegistryAwayError: if the registry does not say.
        """
        if schema_id in self._by_id:
            return self._by_id[schema_id]
        if time.monotonic() < self._missing.get(schema_id, 0.0):
            return None
        found = self._get(f"/schemas/ids/{schema_id}")
        if found is None:
            self._missing[schema_id] = time.monotonic() + _AGAIN_AFTER_S
            return None
        schema: dict[str, Any] = json.loads(found["schema"])
        return self._by_id.setdefault(schema_id, schema)

    def versions(self, subject: str) -> dict[int, dict[str, Any]]:
        """Schema id -> schema of every version of a subject, in order; empty for a subject that is not there.

        Raises:
            RegistryAwayError: if the registry does not say.
        """
        at, known = self._versions.get(subject, (0.0, {}))
        if known and time.monotonic() - at < _VERSIONS_FOR_S:
            return known
        numbers = self._get(f"/subjects/{subject}/versions") or []
        entries = [self._get(f"/subjects/{subject}/versions/{number}") for number in numbers]
        found = {int(each["id"]): json.loads(each["schema"]) for each in entries if each is not None}
        self._versions[subject] = (time.monotonic(), found)
        return found

    def _get(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        try:
            answer = self._client.get(f"{self._url}{path}")
            return None if answer.status_code == httpx.codes.NOT_FOUND else answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise RegistryAwayError(f"the schema registry at {self._url} does not answer: {error}") from error


_parsed: dict[int, tuple[dict[str, Any], Any]] = {}
_PARSED_AT_MOST = 500


def parsed(schema: dict[str, Any]) -> Any:  # noqa: ANN401 (fastavro's own form)
    """A schema as fastavro wants it; made once for an object, which nobody changes."""
    known = _parsed.get(id(schema))
    if known is not None and known[0] is schema:
        return known[1]
    if len(_parsed) >= _PARSED_AT_MOST:
        _parsed.clear()
    made = parse_schema(json.loads(json.dumps(schema)))
    _parsed[id(schema)] = (schema, made)
    return made
