"""Which failures of lake's query are followed by another query, and which are not?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.lake import keeping
from pipeline.spark import QueryFailedError

CHANGED = (
    "io.delta.exceptions.MetadataChangedException: [DELTA_METADATA_CHANGED] The metadata of the table has been changed"
)


def kept_running(monkeypatch: pytest.MonkeyPatch, failure: str) -> Any:
    monkeypatch.setattr(keeping, "failure_of", lambda _: QueryFailedError(failure))
    writer: Any = SimpleNamespace(start=lambda: "the next", learn=lambda: False, known=SimpleNamespace(valid={}))
    query: Any = SimpleNamespace(isActive=False, name="lake shop")
    tables: Any = SimpleNamespace(take=lambda _: None)
    return keeping.kept_running(writer, query, tables)


def test_a_batch_whose_table_was_changed_meanwhile_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_running(monkeypatch, CHANGED) == "the next"


def test_any_other_failure_ends_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryFailedError, match="disk full"):
        kept_running(monkeypatch, "java.io.IOException: disk full")
