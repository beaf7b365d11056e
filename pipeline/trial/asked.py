"""Which two definitions are tried? Today's, and the one in a folder that somebody has changed; both copied, so that neither moves.

Only folders below TIDEGATE_TRIALS and the roots of streams are read. Every mistake in one is named at once, with file and field.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx

from controlplane.contract.folders import StreamInvalidError, load_stream
from controlplane.contract.suite_misfits import suite_problems
from controlplane.contract.trials import TRIALS
from pipeline.operate.kind import RefusedError, StaleError
from pipeline.route.definition import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from controlplane.contract.folders import Problem
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

    SuiteCheck = Callable[[StreamDefinition], Iterable[Problem]]
    """Mistakes in the suites that only who evaluates them can name."""

SETTLED = "settled.json"
"""In a trial's folder: ids of rejected records that it leaves out."""
RESULT = "result.json"
"""In a trial's folder: what it found."""
_DEFINITIONS = "definitions"
_QUALITY_WITHIN_S = 20.0


def folder_of(asked: str, stream: str, settings: Settings) -> Path:
    """The changed folder.

    Raises:
        RefusedError: if it is not below a root, or not named as the stream.
    """
    roots = [settings.trials_root.resolve(), *(root.resolve() for root in settings.stream_roots)]
    for root in roots:
        folder = (root / asked).resolve()
        if folder.is_dir() and any(folder.is_relative_to(each) for each in roots):
            if folder.name != stream:
                raise RefusedError(f"{asked}: the folder is named {folder.name}; one of {stream} is named {stream}")
            return folder
    raise RefusedError(
        f"{asked} is no folder below {roots[0]} (TIDEGATE_TRIALS) or a root of streams; send it by `tidegate trial start`"
    )


def checked(folder: Path, check: SuiteCheck) -> StreamDefinition:
    """The folder's definition.

    Raises:
        RefusedError: with every mistake in it.
    """
    try:
        stream = load_stream(folder)
    except StreamInvalidError as error:
        raise RefusedError(_said(folder, error.problems)) from error
    if problems := [*suite_problems(stream), *check(stream)]:
        raise RefusedError(_said(folder, problems))
    return stream


def _said(folder: Path, problems: Iterable[Problem]) -> str:
    found = list(problems)
    return f"{folder.name} is not a valid stream, {len(found)} mistake(s): " + " | ".join(map(str, found))


def copied(scratch: Path, folders: dict[str, Path], digests: dict[str, str]) -> None:
    """Keep both folders with the trial; again after a crash, with the same end.

    Args:
        scratch: the trial's own folder.
        folders: side -> its folder.
        digests: side -> what its folder was when the trial was planned.

    Raises:
        StaleError: if one is another by now.
    """
    for side, folder in folders.items():
        kept = definition_of(scratch, side, folder.name)
        if kept.exists() and digest_of(kept) == digests[side]:
            continue
        shutil.rmtree(kept.parent, ignore_errors=True)
        partial = kept.parent.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(folder, partial / folder.name)
        if digest_of(partial / folder.name) != digests[side]:
            shutil.rmtree(partial)
            raise StaleError(f"{folder} has changed since the trial was planned; plan it again")
        partial.rename(kept.parent)


def definition_of(scratch: Path, side: str, stream: str) -> Path:
    """Where a trial keeps a side's folder; the stream's name is the folder's."""
    return scratch / _DEFINITIONS / side / stream


def settled_of(settings: Settings, stream: str) -> frozenset[str]:
    """Ids of rejected records that were replayed or discarded since, as quality says.

    Raises:
        RefusedError: if it does not answer: a record that was replayed would count twice.
    """
    url = f"{settings.quality}/api/v1/quarantine/streams/{stream}/settled"
    try:
        answer = httpx.get(url, headers=settings.authorization, timeout=_QUALITY_WITHIN_S).raise_for_status()
    except httpx.HTTPError as error:
        raise RefusedError(
            f"quality at {settings.quality} does not say which rejected records were replayed ({error}); "
            "try again when it runs"
        ) from error
    return frozenset(map(str, answer.json()))


def scratch_of(settings: Settings, trial: str) -> Path:
    """A trial's own folder: all that it writes."""
    return settings.data.resolve() / TRIALS / trial
