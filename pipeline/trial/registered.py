"""What does the registry know of a definition, and does it take its schemas? For a trial and its promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka.schema_registry import SchemaRegistryError

from pipeline.operate.kind import RefusedError
from pipeline.registry import await_registry, learned, register_stream

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.registry import Learned

_WITHIN_S = 20.0


def learn(settings: Settings, stream: StreamDefinition) -> Learned:
    """With the schema that all registered versions and this folder make.

    Raises:
        RefusedError: if the registry does not answer.
    """
    try:
        return learned(_client(settings), stream)
    except SchemaRegistryError as error:
        raise RefusedError(
            f"the registry at {settings.registry} does not say which versions there are: {error}"
        ) from error


def register(settings: Settings, stream: StreamDefinition) -> None:
    """Its schemas.

    Raises:
        SchemaRefusedError: if the registry does not take one.
        RefusedError: if it does not answer.
    """
    register_stream(_client(settings), stream)


def _client(settings: Settings) -> SchemaRegistryClient:
    try:
        return await_registry(settings.registry, _WITHIN_S)
    except TimeoutError as error:
        raise RefusedError(f"{error}; try again when it runs") from error
