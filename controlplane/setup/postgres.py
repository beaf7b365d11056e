"""Where is a Postgres to test with? On the system, or unpacked in the cache: installed, its package would start a server.

Postgres refuses to run as root. Root's cache cannot be read by others, so who runs one as another user copies it first.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian's packages put each version's programs, outside of the PATH."""
_NAME = re.compile(r"^postgresql-(\d+)\b")


def system_home() -> Path | None:
    """The folder of the system's own programs; None when it has none."""
    found = sorted(INSTALLED.glob("*/bin/postgres"), key=lambda each: int(each.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def unpacked_home(cache: Path) -> Path | None:
    """The root of what was unpacked, with `usr/lib` in it; None when nothing was."""
    root = cache / "postgres"
    return root if programs_below(root) is not None else None


def programs_below(root: Path) -> Path | None:
    """The folder of the programs below an unpacked root."""
    found = sorted(root.glob("usr/lib/postgresql/*/bin/postgres"))
    return found[-1].parent if found else None


def unpack(cache: Path, say: Callable[[str], None]) -> None:
    """Have one; nothing is done when there is. Where none can be had, it is said that tests are skipped."""
    if system_home() is not None or unpacked_home(cache) is not None:
        return
    package = _package()
    if package is None:
        say("there is no Postgres, and apt knows none: the tests that need it run on SQLite only")
        return
    say("downloading Postgres (17 MB), to test with")
    with tempfile.TemporaryDirectory() as folder:
        if _run("apt-get", "download", "-qq", package, "libpq5", folder=folder) is None:
            say(f"`apt-get download {package} libpq5` failed: the tests that need Postgres run on SQLite only")
            return
        (cache / "postgres").mkdir(parents=True, exist_ok=True)
        for each in Path(folder).glob("*.deb"):
            _run("dpkg", "-x", str(each), str(cache / "postgres"))


def _package() -> str | None:
    if shutil.which("apt-cache") is None or shutil.which("dpkg") is None:
        return None
    said = _run("apt-cache", "search", "--names-only", r"^postgresql-[0-9]+$") or ""
    found = [int(match[1]) for line in said.splitlines() if (match := _NAME.match(line))]
    return f"postgresql-{max(found)}" if found else None


def _run(*command: str, folder: str | None = None) -> str | None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None
