"""Where do the broker, the registry and Spark's connectors come from?

From one pinned list, `jars.lock`: a line for each file with its part, Maven coordinate and SHA-256. Files are fetched
once into a cache outside the project, checked, and from then on only looked up. `python -m controlplane.setup --relock`
writes the checksums of a changed list anew.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCK = Path(__file__).with_name("jars.lock")
_FETCHED_AT_ONCE = 8
_FETCH_TIMEOUT_S = 60


class JarError(Exception):
    """A file that cannot be had or is not what was pinned."""


@dataclass(frozen=True)
class Jar:
    """One pinned file."""

    part: str
    """`kafka`, `registry` or `spark`."""
    group: str
    artifact: str
    version: str
    packaging: str
    classifier: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where Maven's repository layout has it."""
        suffix = f"-{self.classifier}" if self.classifier else ""
        name = f"{self.artifact}-{self.version}{suffix}.{self.packaging}"
        return Path(*self.group.split("."), self.artifact, self.version, name)

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def pinned() -> list[Jar]:
    """The list."""
    lines = (line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#"))
    return [_jar(part, coordinate, sha256) for part, coordinate, sha256 in lines]


def _jar(part: str, coordinate: str, sha256: str) -> Jar:
    group, artifact, version, *rest = coordinate.split(":")
    packaging, classifier = (*rest, "jar", "")[:2] if len(rest) < 2 else rest[:2]  # noqa: PLR2004
    return Jar(part, group, artifact, version, packaging, classifier, sha256)


@dataclass(frozen=True)
class JarCache:
    """The files below one folder."""

    root: Path

    def missing(self) -> list[Jar]:
        """Pinned files that are not here yet; the registry counts when it is not unpacked."""
        jars = pinned()
        return [jar for jar in jars if not (self.root / jar.path).is_file()] or (
            [] if self.registry_home().is_dir() else [jar for jar in jars if jar.part == "registry"]
        )

    def classpath(self, part: str) -> list[Path]:
        """The part's jars, in the list's order."""
        return [self.root / jar.path for jar in pinned() if jar.part == part and jar.packaging == "jar"]

    def registry_home(self) -> Path:
        """The unpacked registry application."""
        [jar] = [jar for jar in pinned() if jar.part == "registry"]
        return self.root / jar.path.parent / "unpacked"

    def fetch(self, told: Callable[[str], None]) -> None:
        """Fetch what is missing.

        Raises:
            JarError: naming the file, if it cannot be had or its checksum differs.
        """
        missing = [jar for jar in self.missing() if not (self.root / jar.path).is_file()]
        if missing:
            told(f"fetching {len(missing)} jars into {self.root}")
            with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
                for number, jar in enumerate(pool.map(self._fetch_one, missing), start=1):
                    if number % 10 == 0 or number == len(missing):
                        told(f"  {number} of {len(missing)} jars ({jar.artifact})")
        self._unpack_registry()

    def _fetch_one(self, jar: Jar) -> Jar:
        import jgo.maven
        import requests

        incoming = self.root / "incoming" / jar.artifact / (jar.classifier or "main")
        context = jgo.maven.MavenContext(repo_cache=incoming, timeout=_FETCH_TIMEOUT_S)
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        try:
            fetched = component.artifact(classifier=jar.classifier, packaging=jar.packaging).resolve()
        except (RuntimeError, OSError, requests.RequestException) as error:
            shutil.rmtree(incoming, ignore_errors=True)
            raise JarError(
                f"{jar} cannot be fetched: {error}; check the way to the Maven repository, try again"
            ) from error
        if jar.sha256 != "-" and _sha256(fetched) != jar.sha256:
            raise JarError(f"{jar}: its SHA-256 is {_sha256(fetched)}, pinned is {jar.sha256}; not used: {fetched}")
        target = self.root / jar.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(fetched, target)
        shutil.rmtree(incoming, ignore_errors=True)
        return jar

    def _unpack_registry(self) -> None:
        home = self.registry_home()
        if home.is_dir():
            return
        [jar] = [jar for jar in pinned() if jar.part == "registry"]
        partial = home.with_name("unpacking")
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(self.root / jar.path) as archive:
            archive.extractall(partial, filter="data")
        partial.rename(home)


def relock(cache: JarCache, coordinates: Sequence[tuple[str, str]]) -> str:
    """The text of `jars.lock` for (part, coordinate) pairs, fetched and hashed."""
    lines = []
    for part, coordinate in coordinates:
        jar = cache._fetch_one(_jar(part, coordinate, "-"))  # noqa: SLF001
        lines.append(f"{part} {coordinate} {_sha256(cache.root / jar.path)}")
    return "\n".join(lines) + "\n"


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
