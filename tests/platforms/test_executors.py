"""Do executors come and go on a real Spark cluster, and pods on a stand-in of Kubernetes? `tidegate bench scaling`, in short."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("on", ["standalone", "kubernetes"])
def test_executors_come_work_and_go(on: str) -> None:
    """In a process of its own: a driver's JVM has one application, and this one's has another."""
    options = ("--executors", "3", "--few", "1", "--on", on, "-o", "json")
    command = [sys.executable, "-P", "-m", "load_tests", "scaling", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert (found["wrong"], done.returncode) == ([], 0)
    assert [step["executors"] for step in found["steps"].values()] == [1, 3, 1]
    assert (found["job"]["executors"], found["failed"]) == (3, 0)
