"""Who runs the pods of the stand-in? Processes of this machine, started as Spark's image starts an executor (`entrypoint.sh`)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import psutil

from controlplane.up.spark import spark_home

if TYPE_CHECKING:
    from pathlib import Path

    from load_tests.bench.kubernetes import Store

_IP = "127.0.0.1"
_GRACE_S = 10.0
Thing = dict[str, Any]


class Kubelet:
    """Starts a process for a pod, follows it, ends it; `close` ends all."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def take(self, pod: Thing) -> None:
        """Run it, from a thread of its own."""
        threading.Thread(target=self._run, args=(pod,), name=pod["metadata"]["name"], daemon=True).start()

    def end(self, pod: Thing) -> None:
        """Ask its process to end; one that does not is killed after its grace."""
        process = self._processes.get(pod["metadata"]["name"])
        if process is None or process.poll() is not None:
            self._store.put("pods", pod, "DELETED")
            return
        process.send_signal(signal.SIGTERM)
        killer = threading.Timer(_GRACE_S, process.kill)
        killer.daemon = True
        killer.start()

    def processes(self) -> list[psutil.Process]:
        """Those that run."""
        found = []
        for each in self._processes.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(each.pid))
        return found

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            self._is_closed = True
        for each in self._processes.values():
            each.kill()
            each.wait()

    def _run(self, pod: Thing) -> None:
        name = pod["metadata"]["name"]
        [container] = pod["spec"]["containers"]
        with self._lock:
            if self._is_closed:
                return
            with (self._folder / f"{name}.log").open("wb") as log:
                env = _environment(pod, container, self._folder)
                process = subprocess.Popen(_command(env), env=env, stdout=log, stderr=subprocess.STDOUT)
            self._processes[name] = process
        self._say(name, "Running", {"running": {}})
        code = process.wait()
        self._say(name, "Failed" if code else "Succeeded", {"terminated": {"exitCode": abs(code)}})
        self._forget(name)

    def _say(self, name: str, phase: str, state: Thing) -> None:
        with self._store.lock:
            pod = self._store.things.get(("pods", name))
            if pod is not None:
                [container] = pod["spec"]["containers"]
                status = {
                    "name": container["name"],
                    "image": container["image"],
                    "state": state,
                    "ready": phase == "Running",
                }
                said = {"phase": phase, "podIP": _IP, "containerStatuses": [status]}
                self._store.put("pods", {**pod, "status": said}, "MODIFIED")

    def _forget(self, name: str) -> None:
        """A pod that was being deleted is gone with its container."""
        with self._store.lock:
            pod = self._store.things.get(("pods", name))
            if pod is not None and "deletionTimestamp" in pod["metadata"]:
                self._store.put("pods", pod, "DELETED")


def _environment(pod: Thing, container: Thing, folder: Path) -> dict[str, str]:
    """Of the container, on this machine: its own, and where the image would have Spark."""
    given = {each["name"]: _value(pod, each) for each in container.get("env") or []}
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    here = {
        "PATH": os.environ["PATH"],
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": _IP,
        "SPARK_LOCAL_DIRS": str(scratch),
    }
    return {**given, **here}


def _value(pod: Thing, given: Thing) -> str:
    source = given.get("valueFrom")
    if source is None:
        return str(given.get("value", ""))
    fields = {"status.podIP": _IP, "metadata.name": pod["metadata"]["name"]}
    return str(fields[source["fieldRef"]["fieldPath"]])


def _command(env: dict[str, str]) -> list[str]:
    """What `entrypoint.sh executor` runs, but that its heap begins small."""
    numbered = sorted(
        (int(key.rsplit("_", 1)[1]), value) for key, value in env.items() if re.fullmatch(r"SPARK_JAVA_OPT_\d+", key)
    )
    named = {
        "--driver-url": "SPARK_DRIVER_URL", "--executor-id": "SPARK_EXECUTOR_ID", "--cores": "SPARK_EXECUTOR_CORES",
        "--app-id": "SPARK_APPLICATION_ID", "--hostname": "SPARK_EXECUTOR_POD_IP",
        "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID", "--podName": "SPARK_EXECUTOR_POD_NAME",
    }  # fmt: skip
    return [
        "java",
        *(value for _, value in numbered),
        f"-Xmx{env['SPARK_EXECUTOR_MEMORY']}",
        *("-cp", f"{spark_home() / 'jars'}/*"),
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        *(word for option, name in named.items() for word in (option, env[name])),
    ]
