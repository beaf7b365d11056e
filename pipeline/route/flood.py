"""May a stream's events pass now? Its breaker, with the samples, orders and the file that it needs.

The file is there because a route that starts again while its breaker is open must not let the flood through.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from controlplane.contract.gates import BreakerState, Stage
from pipeline.route.breaker import Circuit, remembered, stands
from pipeline.route.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from confluent_kafka.admin import AdminClient

    from controlplane.contract.gates import BreakerChanged, GateOrdered
    from controlplane.contract.streams import StreamDefinition
    from pipeline.route.breaker import Sample

    class OrderSource(Protocol):
        """Where operators' orders come from."""

        def to(self, stream: str, stage: Stage) -> Sequence[GateOrdered]:
            """A stage's orders, oldest first."""


_log = logging.getLogger(__name__)


class FloodGate:
    """One stream's breaker.

    Args:
        admin: asks the broker.
        stream: as it is at the start.
        orders: None where nobody can give one.
        scratch: where its state is kept.
    """

    def __init__(self, admin: AdminClient, stream: StreamDefinition, orders: OrderSource | None, scratch: Path) -> None:
        self._outputs, self._orders = Outputs(admin, stream.name), orders
        self._file = scratch / f"{stream.name}.breaker.json"
        self._samples: list[Sample] = []
        self._circuit = self._kept() or Circuit(since=datetime.now(UTC), suite=stream.fingerprint(Stage.INGEST))
        self.fact: BreakerChanged = self._circuit.fact(stream.name)

    @property
    def is_open(self) -> bool:
        """Does nothing pass?"""
        return self._circuit.state is BreakerState.OPEN

    @property
    def waits_for(self) -> str:
        """What has to happen before events pass again; empty while they do."""
        if not self.is_open:
            return ""
        at = self._circuit.resumes_at
        until = "an operator or another suite" if at is None else f"{at:%H:%M:%S} UTC"
        return f"{self.fact.stream} is paused until {until}: {self._circuit.reason}"

    def look(self, stream: StreamDefinition, partitions: Sequence[int]) -> None:
        """Look at the outputs and at the orders, and decide."""
        sample = self._outputs.look(partitions)
        if sample is not None:
            self._samples = remembered([*self._samples, sample], stream.gates.ingest.breaker)
        orders = [] if self._orders is None else self._orders.to(stream.name, Stage.INGEST)
        suite, now = stream.fingerprint(Stage.INGEST), datetime.now(UTC)
        found = stands(self._circuit, self._samples, stream.gates.ingest, suite, orders, now)
        if found is not self._circuit:
            self._keep(found)
            _log.warning(
                "%s: the flood breaker is %s: %s", stream.name, found.state, found.reason or "the flood is over"
            )
            self._circuit, self.fact = found, found.fact(stream.name)
            self._samples = self._samples[-1:]

    def _kept(self) -> Circuit | None:
        try:
            return Circuit.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            _log.warning("%s cannot be read (%s): the breaker begins closed", self._file, error)
            return None

    def _keep(self, circuit: Circuit) -> None:
        partial = self._file.with_suffix(".part")
        partial.write_text(circuit.model_dump_json())
        partial.replace(self._file)
