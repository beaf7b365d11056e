"""Is the wall board that is committed built from the sources that are? `make board` writes their hash beside what it has built."""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCES = Path(__file__).parent / "board"
STAMP = Path(__file__).parent / "board_built" / "sources.sha256"


def fingerprint() -> str:
    """Of all that the build reads, by name and content: TypeScript, styles, the hub's client, the lock file."""
    found = hashlib.sha256()
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file() and "node_modules" not in path.parts):
        found.update(f"{path.relative_to(SOURCES).as_posix()}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


if __name__ == "__main__":
    STAMP.write_text(f"{fingerprint()}\n")
