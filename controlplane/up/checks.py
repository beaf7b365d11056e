"""Can the platform start here? Each check that fails says what is wrong and what to do, with an exit code of its own."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_RUNNING = 3
EXIT_JAVA = 4
EXIT_FOLDER = 5
EXIT_PORT = 6
EXIT_MEMORY = 7
EXIT_PART = 8
EXIT_JARS = 9
NEEDED_BYTES = 7 * 2**30
_LEAST_JAVA = 17
_LEAST_PORT = 10_000
"""Below it are those that people know by heart."""
_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")


class StartError(Exception):
    """The platform cannot start: one message, one exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def java_version() -> int | None:
    """Major version of the `java` on the path; None when there is none that runs."""
    if shutil.which("java") is None:
        return None
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)  # noqa: S607 (the user's java)
    match = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(match[1]) if match else None


def check_java() -> None:
    """Java 17 or newer is there, or StartError."""
    version = java_version()
    if version is None or version < _LEAST_JAVA:
        found = "no Java is on the path" if version is None else f"the Java on the path is version {version}"
        raise StartError(
            f"{found}; Kafka and Spark need Java {_LEAST_JAVA}: run `make setup` as root, or install a JRE {_LEAST_JAVA}",
            EXIT_JAVA,
        )


def check_folder(data: Path) -> None:
    """The data folder can be made and written, or StartError."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"the data folder {data} cannot be written: {error.strerror}; choose one by --data", EXIT_FOLDER
        ) from error


def check_memory(needed: int = NEEDED_BYTES) -> None:
    """Enough memory is free, or StartError."""
    available = psutil.virtual_memory().available
    if available < needed:
        raise StartError(
            f"{available / 2**30:.1f} GiB of memory are free, the platform needs {needed / 2**30:.0f} GiB; "
            "stop something, or start fewer demo streams on a larger machine",
            EXIT_MEMORY,
        )


def check_port(port: int, option: str) -> None:
    """A port that was asked for is free, or StartError."""
    if not is_free(port):
        raise StartError(
            f"port {port} on 127.0.0.1 is taken; give another by {option}, or none to have one picked", EXIT_PORT
        )


def is_free(port: int) -> bool:
    """Can this machine listen there?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that was free a moment ago; another one each time.

    It is below those that the system gives to connections, where there are such: a part may begin to listen half a minute later,
    and until then any connection could be given a higher one.
    """
    for port in _below_connections:
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ports_below_connections() -> Iterator[int]:
    """From a chance one on, so that two platforms do not try the same."""
    first = int(_CONNECTIONS.read_text().split()[0]) if _CONNECTIONS.exists() else _LEAST_PORT
    ports = range(_LEAST_PORT, first)
    start = secrets.randbelow(len(ports)) if ports else 0
    return iter((*ports[start:], *ports[:start]))


_below_connections = _ports_below_connections()


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as content:
        content.seek(max(0, os.fstat(content.fileno()).st_size - 16384))
        return "\n".join(content.read().decode("utf-8", "replace").splitlines()[-count:])
