"""`python -P -m pipeline.sql.child`: one query over Delta tables, in a process that may not take much.

A query of DataFusion can't be stopped and has no limit of memory that holds; a process can be killed and has one. It may also write
no file. The query is put into brackets, so that DataFusion's own parser takes it for a query or not at all.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from pipeline.sql.values import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

_NICE = 10


def main() -> None:
    """Read what is asked from stdin, write the answer to stdout."""
    asked = json.load(sys.stdin)
    os.nice(_NICE)
    try:
        said = answer(asked)
    except (DeltaError, OSError, ValueError, pa.ArrowException) as error:
        said = {"refused": str(error)}
    except MemoryError:
        said = {"too_much": True}
    json.dump(said, sys.stdout)


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Columns and rows, as far as they are asked for."""
    builder = QueryBuilder()
    for name, table in asked["tables"].items():
        builder.register(f'"{name}"', DeltaTable(table["uri"], version=table["version"]))
    builder.execute("SELECT 1")  # its threads are there now, and count no more
    confine(asked["memory"])
    began = time.monotonic()
    return {
        **_taken(builder.execute(asked["sql"]), asked["limit"], asked["bytes"]),
        "elapsed_s": time.monotonic() - began,
    }


def confine(memory: int) -> None:
    """From here on: so many bytes more, and no file is written."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 (not a path of ours)
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _taken(reader: Any, limit: int, size_at_most: int) -> dict[str, Any]:  # noqa: ANN401 (arro3 has no types)
    schema = pa.schema(reader.schema)
    said = {"columns": [[each.name, str(each.type)] for each in schema], "truncated": None}
    rows: list[list[Any]] = []
    size = 0
    for batch in reader:
        columns = [column.to_pylist() for column in pa.record_batch(batch).columns]
        for values in zip(*columns, strict=True):
            if len(rows) >= limit:
                return {**said, "rows": rows, "truncated": f"only the first {limit:,} rows were asked for"}
            row = [plain(value) for value in values]
            size += len(json.dumps(row))
            if size > size_at_most:
                return {
                    **said,
                    "rows": rows,
                    "truncated": f"these rows are {size_at_most // 2**20} MiB, and more are not sent",
                }
            rows.append(row)
    return {**said, "rows": rows}


if __name__ == "__main__":
    main()
