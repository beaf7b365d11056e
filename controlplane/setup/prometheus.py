"""Where are Prometheus, Alertmanager and the tools that check their files? On the system, or unpacked in the cache.

Debian's packages are unpacked and not installed: installed they would start two servers that nobody asked for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = ("prometheus", "prometheus-alertmanager")
TEMPLATES = Path("/usr/share/prometheus")
"""Debian's Alertmanager looks for its templates there and nowhere else; for one that is unpacked it is a link into the cache."""
TOOLS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")


class UnpackError(Exception):
    """The packages cannot be had; the text says why, and what to do."""


def tool(cache: Path, name: str) -> Path | None:
    """A program, by its Debian name; None when it is neither on the system nor in the cache."""
    found = shutil.which(name)
    unpacked = _home(cache) / "usr" / "bin" / name
    return Path(found) if found else unpacked if unpacked.exists() else None


def unpack(cache: Path, say: Callable[[str], None]) -> None:
    """Have every tool; nothing is done when they are there.

    Raises:
        UnpackError: if this is no Debian, or the packages cannot be downloaded.
    """
    if not all(tool(cache, name) for name in TOOLS):
        _fetch(cache, say)
    if not TEMPLATES.exists() and os.geteuid() == 0:
        TEMPLATES.unlink(missing_ok=True)
        TEMPLATES.symlink_to(_home(cache).resolve() / "usr" / "share" / "prometheus")


def _fetch(cache: Path, say: Callable[[str], None]) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise UnpackError(f"{', '.join(TOOLS)} are missing, and this is no Debian: put them on the PATH")
    say("downloading Prometheus and Alertmanager (30 MB), to test with")
    with tempfile.TemporaryDirectory() as folder:
        if not _downloads(folder) and (
            os.geteuid() != 0 or not _run("apt-get", "update", "-qq") or not _downloads(folder)
        ):
            raise UnpackError(
                f"`apt-get download {' '.join(PACKAGES)}` failed: try it, or put {', '.join(TOOLS)} on the PATH"
            )
        _home(cache).mkdir(parents=True, exist_ok=True)
        for package in Path(folder).glob("*.deb"):
            if not _run("dpkg", "-x", str(package), str(_home(cache))):
                raise UnpackError(f"{package.name} could not be unpacked into {_home(cache)}")


def _home(cache: Path) -> Path:
    return cache / "prometheus"


def _downloads(folder: str) -> bool:
    return _run("apt-get", "download", "-qq", *PACKAGES, folder=folder)


def _run(*command: str, folder: str | None = None) -> bool:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0
