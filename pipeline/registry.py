"""How do schemas get into the registry and ids out of it?"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from controlplane.contract.evolution import Conflict, evolution
from controlplane.contract.names import Hop, subject
from controlplane.contract.refusals import SchemaRefusedError, causes_in, refusal
from controlplane.contract.streams import Compatibility
from controlplane.contract.valid import valid_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.contract.streams import StreamDefinition

_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)


class ModeRefusedError(Exception):
    """The registry does not take a subject's compatibility."""


def await_registry(url: str, within_s: float = 120.0) -> SchemaRegistryClient:
    """Wait until the registry answers.

    Raises:
        TimeoutError: if it does not in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            httpx.get(f"{url}/subjects", timeout=2).raise_for_status()
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"schema registry at {url} did not answer in {within_s:.0f} s: {error}") from error
            time.sleep(0.2)
        else:
            return SchemaRegistryClient({"url": url})


def register(client: SchemaRegistryClient, subject_name: str, schema: dict[str, Any]) -> int:
    """Register a schema, or find it, and return its id.

    Raises:
        SchemaRefusedError: if it is not compatible with the versions before; says which field, why, and what to do.
        SchemaRegistryError: with the registry's reason, if it refuses it for another.
    """
    try:
        return int(client.register_schema(subject_name, Schema(json.dumps(schema), "AVRO")))
    except SchemaRegistryError as error:
        if error.http_status_code != httpx.codes.CONFLICT:
            raise
        versions = enumerate(schemas_of(client, subject_name).values(), 1)
        before = {number: json.loads(version) for number, version in versions}
        said = causes_in(str(error.error_message))
        raise SchemaRefusedError(refusal(subject_name, mode_of(client, subject_name), before, schema, said)) from error


def register_stream(client: SchemaRegistryClient, stream: StreamDefinition) -> None:
    """Register what producers write and, as all their versions make it, what route writes; each under its compatibility.

    Raises:
        SchemaRefusedError: as `register`.
        ModeRefusedError: if the registry does not take a subject's compatibility.
    """
    register_raw(client, stream)
    valid = subject(stream.name, Hop.VALID)
    _register_under(client, valid, valid_schema(learned(client, stream).stream), Compatibility.BACKWARD)


def register_raw(client: SchemaRegistryClient, stream: StreamDefinition) -> None:
    """Register what producers write, under the stream's compatibility.

    Raises:
        SchemaRefusedError, ModeRefusedError: as `register_stream`.
    """
    _register_under(client, subject(stream.name, Hop.RAW), stream.avro_schema, stream.compatibility)


def _register_under(
    client: SchemaRegistryClient, subject_name: str, schema: dict[str, Any], mode: Compatibility
) -> None:
    if mode is Compatibility.NONE and not schemas_of(client, subject_name):
        register(client, subject_name, schema)  # Apicurio has no mode NONE of a subject that is not there
    require_mode(client, subject_name, mode)
    register(client, subject_name, schema)


def mode_of(client: SchemaRegistryClient, subject_name: str) -> str:
    """The compatibility that counts for a subject: its own, else the registry's."""
    url = _url(client)
    answer = httpx.get(f"{url}/config/{subject_name}", params={"defaultToGlobal": "true"}, timeout=_TIMEOUT_S)
    if answer.status_code == httpx.codes.NOT_FOUND:
        answer = httpx.get(f"{url}/config", timeout=_TIMEOUT_S)
    said = answer.raise_for_status().json()
    return str(said.get("compatibilityLevel") or said.get("compatibility"))


def require_mode(client: SchemaRegistryClient, subject_name: str, mode: Compatibility) -> None:
    """Set a subject's compatibility where it is another one.

    Raises:
        ModeRefusedError: if the registry does not take it.
    """
    url = _url(client)
    if mode_of(client, subject_name) == mode:
        return
    answer = httpx.put(f"{url}/config/{subject_name}", json={"compatibility": mode}, timeout=_TIMEOUT_S)
    if mode is Compatibility.NONE and mode_of(client, subject_name) != mode:
        answer = _set_none_in_apicurio(url, subject_name)
    if (now := mode_of(client, subject_name)) != mode:
        said = answer.text[:200] or answer.status_code
        raise ModeRefusedError(
            f"{subject_name} is to be {mode}, and the registry keeps it {now}: {said}; "
            "set it in the registry, or change `compatibility` in stream.yaml"
        )
    _log.info("%s is %s now", subject_name, mode)


def _set_none_in_apicurio(url: str, subject_name: str) -> httpx.Response:
    """Apicurio takes Confluent's NONE for "no rule of its own", and the registry's rule counts; its own API can say it."""
    root = url.partition("/apis/ccompat/")[0]
    rules = f"{root}/apis/registry/v3/groups/default/artifacts/{subject_name}/rules"
    return httpx.post(rules, json={"ruleType": "COMPATIBILITY", "config": "NONE"}, timeout=_TIMEOUT_S)


def _url(client: SchemaRegistryClient) -> str:
    return str(client.config()["url"]).split(",")[0].rstrip("/")


def schemas_of(client: SchemaRegistryClient, subject_name: str) -> dict[int, str]:
    """Schema id -> Avro JSON of every version of a subject; empty when the subject is not there."""
    try:
        versions = client.get_versions(subject_name)
    except SchemaRegistryError as error:
        if error.http_status_code == httpx.codes.NOT_FOUND:
            return {}
        raise
    registered = (client.get_version(subject_name, version) for version in versions)
    return {int(entry.schema_id or 0): str(entry.schema.schema_str) for entry in registered}


@dataclass(frozen=True)
class Learned:
    """What the registry knows of a stream."""

    stream: StreamDefinition
    """With the schema that its versions make."""
    raw: Mapping[int, str]
    """Schema id -> Avro JSON of what producers write."""
    valid: Mapping[int, str]
    """Schema id -> Avro JSON of what route writes."""
    conflicts: tuple[Conflict, ...]
    """What of a version was not adopted and why, a sentence each."""
    misread: frozenset[int]
    """Ids of versions whose records would be read to wrong values."""


def learned(client: SchemaRegistryClient, stream: StreamDefinition) -> Learned:
    """Ask for every version of a stream's schemas.

    Args:
        client: of the registry.
        stream: as its folder says.

    Raises:
        SchemaRegistryError, httpx.HTTPError: if the registry is away or refuses.
    """
    # In this order: what is read must be as wide as what was written, which was made of versions that are there by then.
    valid = schemas_of(client, subject(stream.name, Hop.VALID))
    raw = schemas_of(client, subject(stream.name, Hop.RAW))
    found = evolution(stream, list(map(json.loads, raw.values())), list(map(json.loads, valid.values())))
    misread = frozenset(each for position, each in enumerate(raw) if position in found.misread)
    return Learned(stream.model_copy(update={"avro_schema": found.reader}), raw, valid, found.conflicts, misread)
