"""How is an operation carried out, from where it was? Stage by stage, in this process; every end is told before the process ends.

It may be killed at any moment: what was told as done is not done again, the stage that was begun is run again from its start. An
error that nobody foresaw is told and tried again, three times in all; a refusal is final. What ends without success is cleaned up.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from controlplane.contract.operations import Does, OperationState, Wish
from controlplane.contract.priority import give_way
from controlplane.contract.reporting import Reporter
from pipeline.operate.client import ControlPlane, until_answered
from pipeline.operate.kind import CancelledError, PausedError, RefusedError, RestsError
from pipeline.operate.stages import done_of, groups
from pipeline.operate.telling import Telling
from pipeline.operate.work import Shared, StageWork
from pipeline.reason import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import JsonValue

    from controlplane.contract.operations import Kind, Operation, StagePlanned
    from controlplane.contract.settings import Settings
    from pipeline.operate.kind import OperationKind

_EXIT_LOST = 3
_EXIT_ORPHANED = 4
_SIDE_BY_SIDE = 2
_AGAIN_AFTER_S = 0.5
_log = logging.getLogger(__name__)


def run_leased(
    settings: Settings, kinds: Mapping[Kind, Callable[[], OperationKind]], number: str, lease: str, does: Does
) -> None:
    """Run an operation that the worker has leased, in a process that was started for it.

    Args:
        settings: where everything is.
        kinds: what makes each kind.
        number: the operation's id.
        lease: what the worker has it by.
        does: run it, or only clean up.
    """
    give_way()
    threading.Thread(target=_end_with_the_worker, name="orphaned", daemon=True).start()
    plane, reporter = ControlPlane(settings.api, settings.authorization), Reporter(settings.api, settings.service_token)
    operation = until_answered(lambda: plane.operation(number), _AGAIN_AFTER_S)
    telling = Telling(plane, number, lease, _lost)
    telling.wish = operation.wish
    results: dict[str, Mapping[str, JsonValue]] = {
        stage.key: stage.result for stage in operation.stages if stage.key in done_of(operation.stages)
    }
    shared = Shared(settings, plane, reporter, results, telling)
    signal.signal(signal.SIGTERM, lambda *_: shared.stopping.set())
    telling.start()
    try:
        Run(operation, kinds[operation.kind](), shared, telling).to_the_end(does)
    finally:
        telling.close()
        shared.close(number)
        reporter.close()
        plane.close()


class Run:
    """One operation being carried out."""

    def __init__(self, operation: Operation, kind: OperationKind, shared: Shared, telling: Telling) -> None:
        self._operation, self._kind, self._shared, self._telling = operation, kind, shared, telling

    def to_the_end(self, does: Does) -> None:
        """Do what is left, and tell how it has ended."""
        try:
            if does is Does.RUN:
                self._stages()
                self._telling.say(state=OperationState.DONE, result=self._result(), **self._undo())
            else:
                self._clean_up()
                is_cancelled = self._telling.wish is Wish.CANCEL
                self._telling.say(state=OperationState.CANCELLED if is_cancelled else OperationState.FAILED)
        except RestsError as rests:
            self._telling.log(f"rests: {rests}")
            stages = () if rests.stage is None else (rests.stage,)
            self._telling.say(*stages, state=OperationState.PAUSED, waits_for=str(rests))
        except PausedError:
            is_wished = self._telling.wish is Wish.PAUSE or not self._shared.stopping.is_set()
            self._telling.say(state=OperationState.PAUSED if is_wished else OperationState.QUEUED)
        except CancelledError:
            self._ended(OperationState.CANCELLED, "cancelled by an operator")
        except RefusedError as error:
            self._telling.log(f"refused: {error}")
            self._ended(OperationState.FAILED, str(error))
        except Exception as error:  # noqa: BLE001 (told, and tried again)
            _log.exception("operation %s", self._operation.id)
            self._telling.say(state=OperationState.QUEUED, reason=reason_of(error))

    def _stages(self) -> None:
        plan = self._operation.plan
        if plan is None:
            raise RefusedError(f"{self._operation.id} has no plan")
        if not any(stage.started_at for stage in self._operation.stages):
            self._kind.confirm_basis(StageWork(self._operation, self._shared))
        for group in groups(plan.stages, done_of(self._operation.stages), self._kind.parallel):
            self._side_by_side(group)
            # Whoever is killed in the next stage must not have to find out again that this one is done.
            self._telling.flush()

    def _side_by_side(self, group: Sequence[StagePlanned]) -> None:
        if len(group) == 1:
            self._stage(group[0])
            return
        asked = self._operation.asked.get("parallel")
        with ThreadPoolExecutor(asked if isinstance(asked, int) else _SIDE_BY_SIDE, thread_name_prefix="stage") as pool:
            begun = [pool.submit(self._stage_or_stop, stage) for stage in group]
            wait(begun)
        failed = [error for each in begun if (error := each.exception()) is not None]
        # What an operator wants is not the reason when something else has failed beside it.
        for error in sorted(failed, key=lambda each: isinstance(each, PausedError | CancelledError)):
            raise error

    def _stage_or_stop(self, stage: StagePlanned) -> None:
        """The others end between two pieces of work when one has failed."""
        try:
            self._stage(stage)
        except Exception:
            self._shared.has_failed.set()
            raise

    def _stage(self, stage: StagePlanned) -> None:
        progress = next(each for each in self._operation.stages if each.key == stage.key)
        work = StageWork(self._operation, self._shared, progress)
        work.run(lambda: self._kind.does[stage.does](work, stage))

    def _ended(self, state: OperationState, reason: str) -> None:
        try:
            self._clean_up()
        except Exception as error:  # noqa: BLE001 (the same)
            _log.exception("cleaning up after operation %s", self._operation.id)
            said = f"{reason}; then cleaning up failed: {reason_of(error)}"
            self._telling.say(state=OperationState.QUEUED, reason=said)
        else:
            self._telling.say(state=state, reason=reason)

    def _clean_up(self) -> None:
        self._shared.obeys = False
        self._telling.log("cleans up")
        self._kind.clean_up(StageWork(self._operation, self._shared))

    def _result(self) -> dict[str, JsonValue]:
        """What stages have found that are about no single partition; a later one's word counts."""
        plan = self._operation.plan
        whole = [stage.key for stage in plan.stages if stage.partition is None] if plan else []
        return {name: value for key in whole for name, value in self._shared.results.get(key, {}).items()}

    def _undo(self) -> dict[str, JsonValue]:
        asked = self._kind.undo(StageWork(self._operation, self._shared))
        return {} if asked is None else {"undo": asked.model_dump(mode="json")}


def _lost(why: str) -> None:
    """Whoever has it now must not meet what this process would still write."""
    _log.error("this operation is no longer this process's: %s", why)
    os._exit(_EXIT_LOST)


def _end_with_the_worker() -> None:
    """The worker holds the other end of stdin: when it is gone, nobody would hear how this ends, and a new worker begins again."""
    # Not through sys.stdin: its lock, held at the interpreter's end, would abort the process.
    while os.read(0, 1024):
        pass
    os._exit(_EXIT_ORPHANED)
