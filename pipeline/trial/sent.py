"""How does a folder that is sent for a trial come to where trials look? Checked whole first; nothing of a bad one stays.

It is named by what is in it, so that the same folder sent twice is there once, and one that a trial has read never changes.
"""

from __future__ import annotations

import base64
import binascii
import shutil
from typing import TYPE_CHECKING
from uuid import uuid4

from controlplane.contract.folders import StreamInvalidError, load_stream
from controlplane.contract.suite_misfits import suite_problems
from controlplane.contract.trials import FILE_OF_A_FOLDER, MOST_BYTES, MOST_FILES, FolderTaken, Mistake
from pipeline.route.definition import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from controlplane.contract.trials import FileSent, FolderSent
    from pipeline.trial.asked import SuiteCheck

_DIGITS = 12


class FolderRefusedError(Exception):
    """What was sent is no stream folder: all its mistakes."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{each.file}: {each.field}: {each.what}; {each.fix}" for each in mistakes))


def take(sent: FolderSent, streams: Mapping[str, object], root: Path, check: SuiteCheck) -> FolderTaken:
    """Keep a folder.

    Args:
        sent: what is in it.
        streams: by name, those that there are.
        root: where trials look.
        check: names what is wrong with its suites.

    Raises:
        FolderRefusedError: with every mistake, by file and field.
    """
    if sent.stream not in streams:
        fix = f"use one of {', '.join(sorted(streams))}"
        raise FolderRefusedError(
            [Mistake(file="", field="stream", what=f"there is no stream {sent.stream!r}", fix=fix)]
        )
    contents = _contents(sent.files)
    partial = root / f".{uuid4().hex}"
    folder = partial / sent.stream
    try:
        for path, content in contents.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        _require_valid(folder, check)
        digest = digest_of(folder)
        whole = root / digest[:_DIGITS]
        if not whole.exists():
            partial.rename(whole)
        return FolderTaken(folder=f"{whole.name}/{sent.stream}", digest=digest)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _contents(files: Mapping[str, FileSent]) -> dict[str, bytes]:
    mistakes: list[Mistake] = []
    found: dict[str, bytes] = {}
    for path, file in files.items():
        if not FILE_OF_A_FOLDER.fullmatch(path):
            fix = "send stream.yaml, schema.avsc, suite.json, reference/<name>.csv or .parquet"
            mistakes.append(Mistake(file=path, field="", what="no file of a stream folder", fix=fix))
            continue
        try:
            found[path] = (
                (file.text or "").encode() if file.base64 is None else base64.b64decode(file.base64, validate=True)
            )
        except binascii.Error as error:
            mistakes.append(Mistake(file=path, field="base64", what=str(error), fix="encode the file's bytes"))
    size = sum(map(len, found.values()))
    if len(files) > MOST_FILES or size > MOST_BYTES:
        what = f"{len(files)} files of {size:,} bytes"
        fix = f"{MOST_FILES} files and {MOST_BYTES:,} bytes at most; put a larger folder below TIDEGATE_TRIALS"
        mistakes.append(Mistake(file="", field="files", what=what, fix=fix))
    if mistakes:
        raise FolderRefusedError(mistakes)
    return found


def _require_valid(folder: Path, check: SuiteCheck) -> None:
    try:
        stream = load_stream(folder)
        problems = [*suite_problems(stream), *check(stream)]
    except StreamInvalidError as error:
        problems = list(error.problems)
    if problems:
        raise FolderRefusedError(
            [Mistake(file=each.file, field=each.field, what=each.what, fix=each.fix) for each in problems]
        )
