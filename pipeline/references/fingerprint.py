"""Which version of its reference tables does a stream have? A fingerprint of the files that its joins read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

_DIGITS = 12


def used_files(stream: StreamDefinition) -> dict[str, Path]:
    """Name -> file of each reference table that a join reads, by name.

    Raises:
        FileNotFoundError: if one is not there.
    """
    return {name: stream.reference_file(name) for name in sorted({join.reference for join in stream.enrich})}


def fingerprint_of(stream: StreamDefinition) -> str:
    """SHA-256 over the used files' names and contents, first 12 hex digits.

    Raises:
        OSError: if one cannot be read.
    """
    found = hashlib.sha256()
    for file in used_files(stream).values():
        found.update(f"{file.name}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:_DIGITS]
