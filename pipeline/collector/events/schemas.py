"""By which schemas are a stream's events judged? By all versions of its raw subject; the newest one says what JSON is made into.

They are asked of the registry every few seconds, as route does. While it is away, what was known goes on.
"""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import to_parsing_canonical_form

from pipeline.collector.answers import BrokenError, Misfit, misfit
from pipeline.collector.events.convert import converter
from pipeline.registry import learned

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from confluent_kafka.schema_registry import SchemaRegistryClient

    from controlplane.contract.streams import StreamDefinition
    from pipeline.collector.events.values import Convert

POLLED_EVERY_S = 5.0
_EVENT_BYTES = 1_000_000
"""A broker takes no larger record unless told to."""
_FRAME = b"\0"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """One schema of a stream's raw events."""

    id: int
    schema: dict[str, Any]
    canonical: str
    """The same for schemas that write the same bytes."""
    plain: Any
    """Parsed, without logical types: what a value is in bytes."""
    convert: Convert

    def encoded(self, event: Any) -> tuple[dict[str, Any], bytes]:  # noqa: ANN401 (JSON)
        """An event's fields, and its framed Avro bytes.

        Raises:
            MisfitError: if it does not fit.
        """
        try:
            fields: dict[str, Any] = self.convert(event)
        except RecursionError:
            raise misfit("an object that is not nested so deep", event) from None
        body = io.BytesIO()
        body.write(self.frame)
        schemaless_writer(body, self.plain, fields)
        return fields, _bounded(body.getvalue())

    def decoded(self, body: io.BytesIO) -> dict[str, Any]:
        """The next event of a body in Avro.

        Raises:
            MisfitError: if there is none.
        """
        try:
            fields: Any = schemaless_reader(body, self.plain, None)
        except Exception as error:  # noqa: BLE001 (fastavro raises all sorts of errors for bytes that are no record)
            why = f"an event by schema {self.id} ({type(error).__name__}: {error})"
            raise BrokenError([Misfit("", why, "other bytes")]) from None
        self.convert(fields)
        found: dict[str, Any] = fields
        return found

    def framed(self, datum: bytes) -> bytes:
        """An event's Avro bytes as Kafka has them.

        Raises:
            MisfitError: if it is too large.
        """
        return _bounded(self.frame + datum)

    @property
    def frame(self) -> bytes:
        """What Confluent's wire format puts before an event."""
        return _FRAME + self.id.to_bytes(4, "big")


def _bounded(value: bytes) -> bytes:
    if len(value) > _EVENT_BYTES:
        raise misfit(f"an event of at most {_EVENT_BYTES} bytes in Avro", value)
    return value


@dataclass(frozen=True)
class Versions:
    """What a stream's events may be."""

    stream: StreamDefinition
    by_id: Mapping[int, Version]
    """The newest last."""

    @cached_property
    def newest(self) -> Version:
        """By which JSON is judged."""
        return list(self.by_id.values())[-1]

    def key(self, event: Mapping[str, Any]) -> str:
        """Kafka's key, as every producer of ours makes it."""
        return "|".join(str(event.get(field) or "") for field in self.stream.key)


def version(number: int, schema: dict[str, Any]) -> Version:
    """A registered schema.

    Raises:
        Exception: of all sorts, if it is none that fastavro can read.
    """
    plain = parse_schema(_without_logical(schema))
    return Version(number, schema, str(to_parsing_canonical_form(schema)), plain, converter(schema))


def _without_logical(schema: Any) -> Any:  # noqa: ANN401 (Avro is JSON)
    match schema:
        case dict():
            return {name: _without_logical(each) for name, each in schema.items() if name != "logicalType"}
        case list():
            return [_without_logical(each) for each in schema]
    return schema


class Schemas:
    """What the registry knows, kept up to date."""

    def __init__(
        self, streams: Sequence[StreamDefinition], ask: Callable[[StreamDefinition], Mapping[int, str]]
    ) -> None:
        self.streams = {stream.name: stream for stream in streams}
        self._ask = ask
        self._known: dict[str, Versions] = {}
        self._failing: frozenset[str] = frozenset()

    def of(self, stream: str) -> Versions | None:
        """None: nothing is known of it yet."""
        return self._known.get(stream)

    def refresh(self) -> bool:
        """Ask for every stream; one that cannot be had stays as it is, and keeps no other from being asked for.

        Returns:
            whether any could be had.
        """
        failed: dict[str, Exception] = {}
        for stream in self.streams.values():
            try:
                self._take(stream, self._ask(stream))
            except Exception as error:  # noqa: BLE001 (whatever the registry says, and whatever fastavro cannot read)
                failed[stream.name] = error
        for name, why in failed.items():
            if name not in self._failing:
                _log.warning("the schemas of %s cannot be had, those that are known go on: %s", name, why)
        self._failing = frozenset(failed)
        return len(failed) < len(self.streams)

    def _take(self, stream: StreamDefinition, found: Mapping[int, str]) -> None:
        if not found:
            raise LookupError("the registry has no version of them that is read to right values")
        before = self._known.get(stream.name)
        known = {} if before is None else before.by_id
        if list(found) != list(known):
            by_id = {number: known.get(number) or version(number, json.loads(text)) for number, text in found.items()}
            self._known[stream.name] = Versions(stream, by_id)
            _log.info("%s: events are judged by schema %d", stream.name, next(reversed(by_id)))

    def follow(self, stopping: threading.Event) -> None:
        """Refresh until told to stop."""
        while not stopping.wait(POLLED_EVERY_S):
            self.refresh()


def raw_versions(client: SchemaRegistryClient) -> Callable[[StreamDefinition], Mapping[int, str]]:
    """Asks a registry: id -> Avro JSON of every version of a stream's raw subject that route reads to right values."""

    def ask(stream: StreamDefinition) -> Mapping[int, str]:
        found = learned(client, stream)
        return {number: text for number, text in found.raw.items() if number not in found.misread}

    return ask
