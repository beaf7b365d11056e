"""What is a part? One supervised process, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003 (fields of a dataclass)
from dataclasses import dataclass, field
from datetime import datetime, timedelta  # noqa: TC003 (fields of a dataclass)


@dataclass(frozen=True)
class Part:
    """How to start one process and how to know that it does its work."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Parts that must be ready before this one is started for the first time."""
    probe: Callable[[], bool] | None = None
    """True once it answers; None for a part that says so itself by sd_notify."""
    prepare: Callable[[], None] | None = None
    """Done before each start, such as writing its configuration."""
    on_ready: Callable[[], None] | None = None
    """Done once it answers, before it counts as ready."""
    address: str | None = None
    metrics: str | None = None
    """Where it serves `/metrics`, as host:port; None when it does not."""
    ends: bool = False
    """Exit code 0 means that its work is done; it is not started again."""
    stop_within_s: float = 10.0
    nice: int = 0
    """Priority when the machine is busy: what nobody watches by the second gives way."""
    session_nice: int = 0
    """The same of its session, once it has caught up after a start; see `controlplane.contract.priority`."""


@dataclass(frozen=True)
class Seen:
    """What the supervisor knows of a part's process at one moment."""

    pid: int | None = None
    started_at: datetime | None = None
    ready: bool = False
    was_ready: bool = False
    """It has been ready at least once since the platform started."""
    exit_code: int | None = None
    exited_at: datetime | None = None
    failures: int = 0
    """Exits in a row without a long enough run between them."""
    restarts: int = 0
    heard_at: datetime | None = None
    """When it last answered, or said that it is at work."""
    waits_for: str = ""
    """What it says that it waits for."""
    gives_way: bool = False
    """It has had its time to catch up; its priority is lowered."""
    is_stopped: bool = False
    """A signal has stopped its process."""
    ended_with: str = ""
    """How the process before this one ended: a signal, or an exit code and the last line of its log."""

    def ran(self) -> timedelta | None:
        """How long the last process lived; None while one runs or none was started."""
        if self.started_at is None or self.exited_at is None:
            return None
        return self.exited_at - self.started_at
