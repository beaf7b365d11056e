from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import lz4.frame
import pytest
from backports import zstd

from pipeline.embedded.encoding import Packer, best_encoding, unpack
from pipeline.embedded.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

PACK = {"lz4": lz4.frame.compress, "zstd": zstd.compress, "gzip": gzip.compress, "deflate": zlib.compress}
MANY = 10_000_000


@pytest.mark.parametrize("encoding", PACK)
def test_every_frame_of_a_body_is_decoded(encoding: str) -> None:
    pack: Callable[[bytes], bytes] = PACK[encoding]
    assert (
        unpack(b"".join(pack(part) for part in (b"one,", b"", b"two,", b"three")), encoding, MANY) == b"one,two,three"
    )


@pytest.mark.parametrize("encoding", PACK)
def test_a_body_that_ends_inside_a_frame_is_damaged(encoding: str) -> None:
    with pytest.raises(ServerError, match="damaged") as refused:
        unpack(PACK[encoding](b"rows" * 100)[:-6], encoding, MANY)
    assert refused.value.status == 400


@pytest.mark.parametrize("encoding", PACK)
def test_noise_is_damaged(encoding: str) -> None:
    with pytest.raises(ServerError, match=f"{encoding} body is damaged"):
        unpack(b"certainly no frame", encoding, MANY)


@pytest.mark.parametrize("encoding", PACK)
def test_a_small_body_that_unpacks_to_a_huge_one_is_refused(encoding: str) -> None:
    with pytest.raises(ServerError, match="more than 1000 bytes") as refused:
        unpack(PACK[encoding](bytes(100_000)), encoding, 1000)
    assert refused.value.status == 413


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(ServerError, match="'br' is not known"):
        unpack(b"", "br", MANY)


@pytest.mark.parametrize("encoding", PACK)
def test_an_answer_in_chunks_is_one_frame(encoding: str) -> None:
    packer = Packer(encoding)
    packed = b"".join([packer.pack(b"a" * 1000), packer.pack(b"b" * 1000), packer.finish()])
    assert unpack(packed, encoding, MANY) == b"a" * 1000 + b"b" * 1000


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [("lz4,zstd,gzip", "lz4"), ("gzip;q=1.0, zstd", "zstd"), ("lz4;q=0, gzip", "gzip"), ("br", None), ("", None)],
)
def test_the_answer_comes_in_an_encoding_that_the_client_takes(accepted: str, chosen: str | None) -> None:
    assert best_encoding(accepted) == chosen
