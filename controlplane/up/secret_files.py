"""Which secrets does a data folder keep? One by which parts know each other, one by which its owner is known to the control plane.

Whoever can read the folder owns what is in it: the files say no more than that, and nobody else may read them.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from controlplane.contract.access import LOCAL_TOKEN, SERVICE_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 32


def make_secrets(data: Path) -> Path:
    """Make what is not there yet; the file of the parts' token.

    Raises:
        OSError: if the folder takes no files.
    """
    for name in (SERVICE_TOKEN, LOCAL_TOKEN):
        file = data / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        if not file.exists():
            _write(file, secrets.token_urlsafe(_BYTES))
    return data / SERVICE_TOKEN


def _write(file: Path, secret: str) -> None:
    """In one step, so that nobody reads half of it; from its first byte on only its owner may read it."""
    partial = file.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f"{secret}\n")
    partial.replace(file)
