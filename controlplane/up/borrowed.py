"""With which settings does another room's command act on a data folder? Those of the platform that runs in it.

When none runs, nobody listens and the broker is away; the folder's tables are there all the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from controlplane.up.running import NotRunningError, read_running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DATA = "--data"


def acting_on_folder(environment: Mapping[str, str], arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The command's environment, and its arguments without `--data`; what the caller's environment says goes first."""
    data, left = _data_of(arguments)
    folder = Path(environment.get("TIDEGATE_DATA", Settings.model_fields["data"].default)) if data is None else data
    return {**_of(folder), **environment, "TIDEGATE_DATA": str(folder)}, left


def _of(folder: Path) -> dict[str, str]:
    jars = {"TIDEGATE_SPARK_JARS": ",".join(map(str, JarCache(Settings().cache / "jars").classpath("spark")))}
    try:
        return {**jars, **read_running(folder).environment}
    except NotRunningError:
        return {**jars, "TIDEGATE_API": "", "TIDEGATE_KAFKA": ""}


def _data_of(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    data, left, each = None, [], iter(arguments)
    for argument in each:
        if argument == _DATA:
            data = Path(next(each, ""))
        elif argument.startswith(f"{_DATA}="):
            data = Path(argument.removeprefix(f"{_DATA}="))
        else:
            left.append(argument)
    return data, left
