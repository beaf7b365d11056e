"""Do pods of Kubernetes come and go as executors do? The bench, in short, on a stand-in of its API."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def bench(*options: str) -> dict[str, Any]:
    """In a process of its own: a driver's JVM has one application, and this one's has another."""
    command = [sys.executable, "-P", "-m", "load_tests", "scaling", *options, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["wrong"] == [], done.stderr[-3000:]
    assert done.returncode == 0
    return found


def test_pods_of_kubernetes_come_and_go_as_executors_do() -> None:
    found = bench("--executors", "3", "--few", "1", "--on", "kubernetes")
    assert [step["executors"] for step in found["steps"].values()] == [1, 3, 1]
    assert found["job"]["executors"] == 3
    assert found["failed"] == 0
