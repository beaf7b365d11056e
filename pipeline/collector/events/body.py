"""What did somebody send? A body that was read, unpacked and never larger than allowed, as events that were judged one by one.

What is packed is unpacked step by step, so a small body that would become a huge one is refused on the way.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from pipeline.collector.answers import Judged, MisfitError, RefusedError, misfit
from pipeline.collector.events.avro import MAGIC, container, single

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from pipeline.collector.answers import Limits
    from pipeline.collector.events.schemas import Versions

JSON, LINES = "application/json", "application/x-ndjson"
FRAMED, BINARY, CONTAINER = "application/vnd.confluent.avro", "avro/binary", "application/avro"
SCHEMA_ID = "Tidegate-Schema-Id"
_GZIP = 16 + zlib.MAX_WBITS
_NDJSON = (LINES, "application/ndjson", "application/jsonl")
_FRAME_BYTES = 5


class Room(Protocol):
    """Where bodies are held until they are answered."""

    def take(self, size: int) -> None:
        """So many bytes more. Raises RefusedError: 429."""


async def read(chunks: AsyncIterator[bytes], encoding: str, limits: Limits, room: Room) -> bytes:
    """A body as it was before it was packed.

    Raises:
        RefusedError: 413 if it is too large, 415 if it is packed otherwise, 400 if it is no gzip, 429 as `Room.take`.
    """
    if encoding not in ("", "identity", "gzip"):
        raise RefusedError(415, f"Content-Encoding {encoding!r} is not understood: send it as gzip, or as it is")
    unpack = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    body = bytearray()
    try:
        async for chunk in chunks:
            found = chunk if unpack is None else unpack.decompress(chunk, limits.bytes + 1 - len(body))
            limits.require(size=len(body) + len(found))
            room.take(len(found))
            body += found
    except zlib.error as error:
        raise RefusedError(400, f"the body is no gzip: {error}") from error
    if unpack is not None and (not unpack.eof or unpack.unused_data):
        raise RefusedError(400, "the body is not one whole gzip stream")
    return bytes(body)


def judged(body: bytes, headers: Mapping[str, str], versions: Versions, limits: Limits) -> Judged:
    """The events of a body.

    Raises:
        RefusedError: 400 if the body is none of its type, 413 if it has too many events, 415 if the type is not understood.
    """
    kind = headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind == JSON:
        found = _json(body, versions, limits)
    elif kind in _NDJSON:
        lines = [line for line in body.split(b"\n") if line.strip()]
        found = _events(lines, versions, limits, _line)
    elif kind in (BINARY, CONTAINER) and body.startswith(MAGIC):
        found = container(body, versions, limits)
    elif kind in (FRAMED, BINARY):
        found = single(*(_unframed(body) if kind == FRAMED else (_schema_id(headers), body)), versions)
    elif kind == CONTAINER:
        raise RefusedError(400, "the body is no Avro object container file: it does not begin with Obj and 1")
    else:
        known = f"{JSON}, {LINES}, {FRAMED}, {BINARY}, {CONTAINER}"
        raise RefusedError(415, f"Content-Type {kind!r} is not understood: send one of {known}")
    if not found.sent:
        raise RefusedError(400, "there is no event in the body")
    return found


def _json(body: bytes, versions: Versions, limits: Limits) -> Judged:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"the body is no JSON: {error}") from error
    if not isinstance(sent, (dict, list)):
        raise RefusedError(400, "the body is neither an event (an object) nor an array of events")
    return _events(sent if isinstance(sent, list) else [sent], versions, limits)


def _events(
    sent: Sequence[Any], versions: Versions, limits: Limits, parse: Callable[[Any], Any] | None = None
) -> Judged:
    limits.require(events=len(sent))
    found, newest = Judged(), versions.newest
    for each in sent:
        try:
            fields, value = newest.encoded(each if parse is None else parse(each))
            found.fits(versions.key(fields), value)
        except MisfitError as error:
            found.misfits(error)
    return found


def _line(line: bytes) -> Any:  # noqa: ANN401 (JSON)
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise misfit(f"a JSON object in a line ({error})", line) from error


def _unframed(body: bytes) -> tuple[int, bytes]:
    if len(body) <= _FRAME_BYTES or body[0] != 0:
        raise RefusedError(400, "the body is no framed event: a zero, the schema's id in four bytes, then the event")
    return int.from_bytes(body[1:_FRAME_BYTES], "big"), body[_FRAME_BYTES:]


def _schema_id(headers: Mapping[str, str]) -> int:
    said = headers.get(SCHEMA_ID.lower(), "")
    if not (said.isascii() and said.isdigit()):
        raise RefusedError(
            400, f"an event as {BINARY} needs the header {SCHEMA_ID}: the id that the registry gave its schema"
        )
    return int(said)
