"""`tidegate backfill` on the running platform: planned, confirmed, run by the worker, held by the real lake, and let go again."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow.dataset as ds
from deltalake import DeltaTable

from controlplane.contract.names import lake_table
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition


def test_days_are_made_again_by_the_command_and_by_an_unchanged_definition_nothing_differs(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    settings, began = running.settings, datetime.now(UTC) - timedelta(minutes=30)
    name, folder = f"test-{uuid4().hex}", lake_table(settings.lake_root, "shop")
    with (
        EventProducer(shop, settings.kafka, settings.registry, transactional_id=name) as producer,
        producer.transaction() as send,
    ):
        for number in range(200):
            send({**event(17, number, 0.0, began + timedelta(seconds=number)).value, "session_id": name})

    def there() -> int:
        if not DeltaTable.is_deltatable(folder):
            return 0
        return int(DeltaTable(folder).to_pyarrow_dataset().filter(_is(name)).count_rows())

    eventually(lambda: there() == 200, "the events are in the lake")
    command = [
        sys.executable,
        "-P",
        "-m",
        "controlplane.cli",
        "backfill",
        "shop",
        "--data",
        str(settings.data),
        "-o",
        "json",
    ]
    done = subprocess.run([*command, "--yes", "--max-lag", "600"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    operation = json.loads(done.stdout)
    found = {each["key"]: each for each in operation["stages"]}
    assert {each["state"] for each in found.values()} == {"done"}
    assert found["gate"]["result"]["outcome"] in ("passed", "warned")
    compared = found["compare"]["result"]
    assert (compared["changed"], compared["gone"], compared["added"]) == (0, 0, 0)
    assert compared["before"] == compared["after"] >= 200
    assert operation["result"]["before"] == compared["before"]
    assert there() == 200


def _is(session: str) -> Any:
    return ds.field("session_id") == session
