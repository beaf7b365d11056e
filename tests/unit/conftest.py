"""What unit tests share: a database of each kind that operations, access and audit may be kept in."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import text

from controlplane.contract.settings import Settings
from controlplane.service.database import create_all, engine_of
from controlplane.setup.postgres import programs_below, system_home, unpacked_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real Postgres on a socket in a folder of its own; the URL of its first database."""
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        programs, libraries = _programs(Path(folder))
        # Postgres refuses to run as root.
        given = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if given:
            shutil.chown(folder, "nobody")
        environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
        where = f"{folder}/data"
        made = subprocess.run(  # noqa: PLW1510 (looked at below)
            [
                programs / "initdb",
                "-D",
                where,
                "-U",
                "tidegate",
                "-A",
                "trust",
                "--no-sync",
                "--locale",
                "C",
                "-E",
                "UTF8",
            ],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            **given,
        )
        assert made.returncode == 0, made.stderr
        options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off")
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [programs / "postgres", "-D", where, *options]
        running = subprocess.Popen(command, cwd=folder, env=environment, **silent, **given)
        try:
            yield f"postgresql://tidegate@/postgres?host={folder}"
        finally:
            running.terminate()
            running.wait(20)


def _programs(folder: Path) -> tuple[Path, str]:
    """Where Postgres' programs are, and its libraries; copied from the cache, which is nobody else's to read."""
    if (installed := system_home()) is not None:
        return installed, os.environ.get("LD_LIBRARY_PATH", "")
    unpacked = unpacked_home(Settings().cache)
    if unpacked is None:
        pytest.skip("no Postgres on this machine; `make test` unpacks Debian's")
    shutil.copytree(unpacked, folder / "postgres", symlinks=True)
    programs = programs_below(folder / "postgres")
    assert programs is not None
    return programs, ":".join(map(str, (folder / "postgres" / "usr" / "lib").glob("*-linux-*")))


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
