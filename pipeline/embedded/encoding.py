"""How is a body packed?

By HTTP's Content-Encoding, in both directions. The trap is on the way in: clickhouse-connect compresses each block of
an insert by itself, so a body is several LZ4 (or Zstandard, or gzip) frames one after another, and a decoder that stops
after the first one loses rows without a word. Unpacked size is bounded too: a small body may hold a huge one.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import lz4.frame
from backports import zstd

from pipeline.embedded.errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, TOO_LARGE, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

_GZIP_WINDOW = 31
_PREFERRED = ("lz4", "zstd", "gzip", "deflate")


class _Frame(Protocol):
    """What the decoders of all four libraries have in common."""

    @property
    def eof(self) -> bool:
        """Has the frame ended?"""

    @property
    def unused_data(self) -> bytes | None:
        """What follows the frame."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Unpack at most this many bytes."""


_FRAMES: dict[str, Callable[[], _Frame]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(_GZIP_WINDOW),
    "deflate": zlib.decompressobj,
}


def unpack(body: bytes, encoding: str, at_most: int) -> bytes:
    """Decode every frame of a body.

    Raises:
        ServerError: if the encoding is unknown, a frame is broken or cut off, or more than `at_most` bytes come out.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in _FRAMES:
        raise refusal(NOT_IMPLEMENTED, f"Content-Encoding {encoding!r} is not known; use {', '.join(_PREFERRED)}")
    try:
        return b"".join(_frames(body, _FRAMES[encoding], at_most))
    except (zlib.error, RuntimeError, EOFError, zstd.ZstdError) as error:
        raise refusal(CANNOT_DECOMPRESS, f"the {encoding} body is damaged: {error}") from error


def _frames(packed: bytes, frame_of: Callable[[], _Frame], at_most: int) -> list[bytes]:
    frames = []
    left = at_most
    while packed:
        frame = frame_of()
        frames.append(frame.decompress(packed, left + 1))
        left -= len(frames[-1])
        if left < 0:
            raise refusal(TOO_LARGE, f"the body unpacks to more than {at_most} bytes; send it in parts")
        if not frame.eof:
            raise EOFError("it ends inside a frame")
        packed = frame.unused_data or b""
    return frames


def best_encoding(accepted: str) -> str | None:
    """The encoding to answer with, out of an Accept-Encoding header; None for none."""
    offered = {part.split(";")[0].strip() for part in accepted.split(",") if not part.replace(" ", "").endswith(";q=0")}
    return next((encoding for encoding in _PREFERRED if encoding in offered), None)


class Packer:
    """Packs one answer, chunk by chunk, as a single frame: readers may stop after the first."""

    def __init__(self, encoding: str) -> None:
        self._compress: Callable[[bytes], bytes]
        self._finish: Callable[[], bytes]
        self._begin = b""
        if encoding == "lz4":
            frame = lz4.frame.LZ4FrameCompressor()
            self._begin, self._compress, self._finish = frame.begin(), frame.compress, frame.flush
        elif encoding == "zstd":
            packed = zstd.ZstdCompressor(level=1)
            self._compress, self._finish = packed.compress, packed.flush
        else:
            squeezed = zlib.compressobj(1, wbits=_GZIP_WINDOW if encoding == "gzip" else zlib.MAX_WBITS)
            self._compress, self._finish = squeezed.compress, squeezed.flush

    def pack(self, chunk: bytes) -> bytes:
        """Pack the next chunk; what comes back may be empty."""
        begin, self._begin = self._begin, b""
        return begin + self._compress(chunk)

    def finish(self) -> bytes:
        """The frame's end."""
        begin, self._begin = self._begin, b""
        return begin + self._finish()
