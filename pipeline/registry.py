"""How do schemas get into the registry and ids out of it?"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from controlplane.contract.names import Hop, subject
from controlplane.contract.valid import valid_schema

if TYPE_CHECKING:
    from controlplane.contract.streams import StreamDefinition

_NOT_FOUND = 404


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
        SchemaRegistryError: with the registry's reason, if it refuses (409 for an incompatible schema).
    """
    return int(client.register_schema(subject_name, Schema(json.dumps(schema), "AVRO")))


def register_stream(client: SchemaRegistryClient, stream: StreamDefinition) -> None:
    """Register what producers write and what route writes."""
    register(client, subject(stream.name, Hop.RAW), stream.avro_schema)
    register(client, subject(stream.name, Hop.VALID), valid_schema(stream))


def schemas_of(client: SchemaRegistryClient, subject_name: str) -> dict[int, str]:
    """Schema id -> Avro JSON of every version of a subject; empty when the subject is not there."""
    try:
        versions = client.get_versions(subject_name)
    except SchemaRegistryError as error:
        if error.http_status_code == _NOT_FOUND:
            return {}
        raise
    registered = (client.get_version(subject_name, version) for version in versions)
    return {int(entry.schema_id or 0): str(entry.schema.schema_str) for entry in registered}
