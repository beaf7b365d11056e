"""How are events in Avro's binary encoding read? One after the other, and of container files block by block.

A library would unpack a block of any size and could not say which event is broken; the file's format is a header and blocks (Avro
1.12, "Object Container Files"). An event's bytes go to Kafka as they came, once they were read to the end by the writer's schema.
"""

from __future__ import annotations

import io
import json
import zlib
from typing import TYPE_CHECKING, Any

from fastavro import schemaless_reader
from fastavro.schema import SchemaParseException, to_parsing_canonical_form

from pipeline.collector.answers import BrokenError, Judged, Misfit, MisfitError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.collector.answers import Limits
    from pipeline.collector.events.schemas import Version, Versions

MAGIC = b"Obj\x01"
_RAW = -zlib.MAX_WBITS
_SYNC_BYTES = 16
_META = {"type": "map", "values": "bytes"}


def single(number: int, datum: bytes, versions: Versions) -> Judged:
    """One event by the schema of an id.

    Raises:
        RefusedError: 400 if no version of the stream has the id.
    """
    version = versions.by_id.get(number)
    if version is None:
        raise RefusedError(400, f"no schema of {versions.stream.name} has the id {number}{_registered(versions)}")
    return _data(io.BytesIO(datum), 1, version, versions, Judged())


def container(body: bytes, versions: Versions, limits: Limits) -> Judged:
    """The events of a container file.

    Raises:
        RefusedError: 400 if it is not whole or of another schema, 413 if it is too large, 415 if it is packed otherwise.
    """
    file, found = io.BytesIO(body), Judged()
    try:
        file.seek(len(MAGIC))
        header: Any = schemaless_reader(file, _META, None)
        sync = file.read(_SYNC_BYTES)
        version, codec = _writer(header["avro.schema"], versions), header.get("avro.codec", b"null").decode()
        room = limits.bytes
        for count, packed in _blocks(file, sync):
            limits.require(events=found.sent + count)
            block = packed if codec == "null" else _unpacked(packed, codec, room, limits)
            room -= len(block)
            _data(io.BytesIO(block), count, version, versions, found)
    except RefusedError:
        raise
    except Exception as error:  # fastavro raises all sorts of errors for bytes that are no Avro
        raise RefusedError(400, f"the body is no whole Avro object container file: {error!r}") from error
    return found


def _writer(schema: bytes, versions: Versions) -> Version:
    try:
        canonical = to_parsing_canonical_form(json.loads(schema))
    except (ValueError, SchemaParseException) as error:
        raise RefusedError(400, f"the file's schema is none: {error}") from error
    for version in versions.by_id.values():
        if version.canonical == canonical:
            return version
    raise RefusedError(400, f"the file's schema is none of {versions.stream.name}{_registered(versions)}")


def _blocks(file: io.BytesIO, sync: bytes) -> Iterable[tuple[int, bytes]]:
    end = len(file.getbuffer())
    while file.tell() < end:
        count, size = _long(file), _long(file)
        packed = file.read(max(0, size))
        if count < 0 or len(packed) != size or file.read(_SYNC_BYTES) != sync:
            raise ValueError("a block is not whole")
        yield count, packed


def _long(file: io.BytesIO) -> int:
    found: Any = schemaless_reader(file, "long", None)
    return int(found)


def _unpacked(packed: bytes, codec: str, room: int, limits: Limits) -> bytes:
    if codec != "deflate":
        raise RefusedError(415, f"the file's codec {codec!r} is not understood: write it as null or deflate")
    unpack = zlib.decompressobj(_RAW)
    block = unpack.decompress(packed, room + 1)
    if len(block) > room:
        limits.require(size=limits.bytes + 1)
    if not unpack.eof:
        raise ValueError("a block is not whole")
    return block


def _data(body: io.BytesIO, count: int, version: Version, versions: Versions, found: Judged) -> Judged:
    """Events one after the other, to the end."""
    whole = body.getbuffer()
    try:
        for _ in range(count):
            begins = body.tell()
            try:
                fields = version.decoded(body)
                found.fits(versions.key(fields), version.framed(bytes(whole[begins : body.tell()])))
            except BrokenError:
                raise
            except MisfitError as error:
                found.misfits(error)
    except BrokenError as error:
        found.misfits(error)
        return found
    if left := len(whole) - body.tell():
        found.misfits(MisfitError([Misfit("", "nothing behind the last event", f"{left} bytes")]))
    return found


def _registered(versions: Versions) -> str:
    known = ", ".join(map(str, versions.by_id))
    return f"; those that are registered: {known} (`tidegate schema` registers one)"
