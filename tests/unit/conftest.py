"""What unit tests share: a database of each kind that operations, access and audit may be kept in."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import text

from controlplane.service.database import create_all, engine_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


def _program(name: str) -> str | None:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else shutil.which(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real Postgres on a socket in a folder of its own; the URL of its first database."""
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("no Postgres on this machine: Debian's package is `postgresql`")
    # Postgres refuses to run as root; its package makes a user for it.
    owner = "postgres" if os.geteuid() == 0 else getpass.getuser()
    given = {"user": owner, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        if given:
            shutil.chown(folder, owner)
        where = f"{folder}/data"
        made = subprocess.run(  # noqa: PLW1510 (looked at below)
            [initdb, "-D", where, "-U", "tidegate", "-A", "trust", "--no-sync"],
            cwd=folder,
            capture_output=True,
            text=True,
            **given,
        )
        assert made.returncode == 0, made.stderr
        options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off")
        running = subprocess.Popen(
            [server, "-D", where, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **given
        )
        try:
            yield f"postgresql://tidegate@/postgres?host={folder}"
        finally:
            running.terminate()
            running.wait(20)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database with every table; the same test runs on each kind."""
    if request.param == "sqlite":
        engine = engine_of(f"sqlite:///{tmp_path / 'control' / 'operations.sqlite'}")
    else:
        url, name = request.getfixturevalue("postgres"), f"t{uuid4().hex}"
        eventually = request.getfixturevalue("eventually")
        eventually(lambda: _made(url, name), "Postgres answers")
        engine = engine_of(url.replace("/postgres?", f"/{name}?"))
    create_all(engine)
    yield engine
    engine.dispose()


def _made(url: str, name: str) -> bool:
    """Make a database; False while the server is not ready."""
    from sqlalchemy.exc import OperationalError

    engine = engine_of(url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError:
        return False
    finally:
        engine.dispose()
    return True
