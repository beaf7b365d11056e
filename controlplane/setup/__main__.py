"""`python -P -m controlplane.setup [--browser] [--postgres] [--prometheus]`: what is needed beside Python, fetched once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from controlplane.contract.settings import Settings
from controlplane.setup import postgres
from controlplane.setup.jars import JarCache, JarError
from controlplane.setup.prometheus import UnpackError, unpack
from controlplane.up.checks import StartError, check_java

if TYPE_CHECKING:
    from collections.abc import Sequence

_JAVA = "openjdk-17-jre-headless"
_CHROMIUM = "chromium"
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def install(package: str, why: str) -> None:
    """Install a Debian package, or exit with a message that says how to.

    Raises:
        SystemExit: if this is not root on a system with apt-get, or the installation fails.
    """
    by_hand = f"{why} is missing: install it (Debian: `apt-get install {package}`) and run this again"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(by_hand)
    say(f"installing {package} by apt-get (a minute or two)")
    _apt(["update", "-qq"], by_hand)
    _apt(["install", "-y", "-qq", "--no-install-recommends", package], by_hand)


def _apt(arguments: Sequence[str], by_hand: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", *arguments], env=environment, stdout=subprocess.DEVNULL, check=False  # noqa: S607 (the system's own)
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"`apt-get {' '.join(arguments)}` failed with exit code {done.returncode}. {by_hand}")


def ensure_java() -> None:
    """Java 17 or newer."""
    try:
        check_java()
    except StartError:
        install(_JAVA, "Java 17")
        check_java()


def archive_spark(jars: JarCache) -> None:
    """Have the pipeline keep what Spark's JVM loads at its start. Without it everything works, and starts slower."""
    if Settings().spark_archive.exists():
        return
    say("making an archive of Spark's classes, so that it starts faster (half a minute)")
    environment = {**os.environ, "TIDEGATE_SPARK_JARS": ",".join(map(str, jars.classpath("spark")))}
    command = [sys.executable, "-P", "-m", "pipeline", "archive"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"it could not be made, going on without: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


def main() -> None:
    """Java, the jars, and what tests need: with `--browser` Chromium, the others by name."""
    try:
        ensure_java()
        jars = JarCache(Settings().cache / "jars")
        jars.fetch(say)
        archive_spark(jars)
    except (StartError, JarError) as error:
        sys.exit(str(error))
    if "--browser" in sys.argv[1:] and not any(map(shutil.which, _CHROMIUM_NAMES)):
        install(_CHROMIUM, "Chromium")
    if "--postgres" in sys.argv[1:]:
        postgres.unpack(Settings().cache, say)
    if "--prometheus" in sys.argv[1:]:
        try:
            unpack(Settings().cache, say)
        except UnpackError as error:
            say(f"{error}. The tests that need them are skipped.")


if __name__ == "__main__":
    main()
