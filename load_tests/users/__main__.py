"""`python -P -m load_tests.users ID`: the process that loads, without locust's page. An operation starts it, and ends with it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import gevent
import typer
from gevent.os import tp_read
from locust.env import Environment

from controlplane.contract.loads import LoadTarget
from controlplane.contract.settings import Settings
from load_tests.users.load import Load
from load_tests.users.senders import collector_user, kafka_user
from load_tests.users.shapes import shape_of
from load_tests.users.watchers import console_user, hub_user
from pipeline.loads.addresses import addresses_of, refused, why_refused
from pipeline.loads.folder import LoadFolder
from pipeline.loads.observe import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

USERS: Mapping[LoadTarget, Callable[[Load], type[Any]]] = {
    LoadTarget.KAFKA: kafka_user,
    LoadTarget.COLLECTOR: collector_user,
    LoadTarget.CONSOLE: console_user,
    LoadTarget.HUB: hub_user,
}
_EVERY_S = 1.0
_ENDS_WITHIN_S = 15.0
_EXIT_REFUSED, _EXIT_ORPHANED = 2, 4


def run(number: str) -> None:
    """Load what a run's folder says, until its end or SIGTERM."""
    settings = Settings()
    folder = LoadFolder(settings, number)
    load = Load(folder.run(), settings)
    # Asked again here, where the load begins: the plan may have been made under other settings.
    if not_ours := refused(addresses_of(load.run.asked.target, settings), settings.load_targets):
        logging.getLogger(__name__).error("%s", why_refused(not_ours))
        sys.exit(_EXIT_REFUSED)
    _on_all_cores()
    environment = Environment(
        user_classes=[USERS[load.run.asked.target](load)], shape_class=shape_of(load), stop_timeout=_ENDS_WITHIN_S
    )
    runner = environment.create_local_runner()
    gevent.spawn(_end_with_the_operation)
    load.begin(folder)
    beside = [gevent.spawn(_tell, load, folder, runner), gevent.spawn(_observe, load, folder)]
    runner.start_shape()
    shape: Any = runner.shape_greenlet
    # No more than that: what is under way is waited for below, and told.
    gevent.signal_handler(signal.SIGTERM, _end_early, load, shape)
    gevent.joinall([shape])
    runner.quit()
    gevent.killall(beside)
    _tell_once(load, folder, runner)


def _tell(load: Load, folder: LoadFolder, runner: Any) -> None:  # noqa: ANN401 (locust has no types)
    while True:
        gevent.sleep(_EVERY_S - load.now_s() % _EVERY_S)
        if load.now_s() > _EVERY_S / 2:  # before that it has not begun
            _tell_once(load, folder, runner)


def _observe(load: Load, folder: LoadFolder) -> None:
    """Here, and not in the operation, which gives way to everything else: at the peak it would hardly look."""
    observer = Observer(load.settings, load.run.asked)
    while True:
        gevent.sleep(_EVERY_S - load.now_s() % _EVERY_S)
        folder.add(observer.look(load.now_s()))


def _tell_once(load: Load, folder: LoadFolder, runner: Any) -> None:  # noqa: ANN401 (the same)
    now_s = load.now_s()
    folder.add(load.tally.take(now_s, runner.user_count, load.schedule.due(now_s), load.schedule.taken))
    folder.add_answers(load.tally.answers())


def _end_early(load: Load, shape: Any) -> None:  # noqa: ANN401 (the same)
    load.schedule.end(load.now_s())
    shape.kill(block=False)


def _end_with_the_operation() -> None:
    """The operation holds the other end of stdin: when it is gone, nobody would end this."""
    while tp_read(0, 1024):
        pass
    os._exit(_EXIT_ORPHANED)


def _on_all_cores() -> None:
    """An operation gives way to everything else; who measures must not wait for a core that is free."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # It finds more than a hundred new users a second too many, again and again.
    logging.getLogger("locust.runners").setLevel(logging.ERROR)
    typer.run(run)
