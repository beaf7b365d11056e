"""Everything that is known of one stream's turned-away records: the table, the index over it, the markers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION
from controlplane.contract.replays import RejectsKept, Selection
from quality.inbox.decode import Payload, read, shown
from quality.inbox.index import Index, chosen, counts_of, days_of, groups
from quality.schemas import RegistryAwayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controlplane.contract.streams import StreamDefinition
    from quality.inbox.markers import Markers
    from quality.rejects.table import RejectsTable
    from quality.schemas import Schemas

_GROUPS_REPORTED = 20
_CHAIN_AT_MOST = 50


@dataclass
class Inbox:
    """One stream's."""

    stream: StreamDefinition
    table: RejectsTable
    markers: Markers
    schemas: Schemas
    index: Index = field(init=False)
    unknown: str | None = "the topics of turned-away records have not been read yet"
    """Why what is here may not be all; None while it is."""

    def __post_init__(self) -> None:
        self.index = Index(self.markers)
        self._searched: tuple[object, pa.Table] | None = None

    def chosen(self, selection: Selection) -> pa.Table:
        """The records that a selection fits, without payloads."""
        rows = chosen(self.index.rows(), selection)
        if selection.text is None or selection.ids or not rows.num_rows:
            return rows
        key = (selection, self.index.version, self.markers.version)
        if self._searched is None or self._searched[0] != key:
            self._searched = (key, self._search(rows, selection.text))
        return self._searched[1]

    def _search(self, rows: pa.Table, text: str) -> pa.Table:
        """Those whose payload has a text in it: the only question that reads payloads."""
        found = self.table.payloads(rows["id"].to_pylist(), days_of(rows), text=text.encode())
        ids = [record for piece in found for record in piece["id"].to_pylist()]
        return rows.filter(pc.is_in(rows["id"], value_set=pa.array(ids, pa.string())))

    def payloads(self, ids: Sequence[str]) -> Iterator[pa.Table]:
        """Records with key and value, in pieces."""
        rows = chosen(self.index.rows(), Selection.model_construct(ids=tuple(ids)))
        if rows.num_rows:
            yield from self.table.payloads(ids, days_of(rows))

    def schema(self, schema_id: int) -> dict[str, Any] | None:
        """A schema by its id; None for one that is not there, or cannot be had now."""
        try:
            return self.schemas.of_id(schema_id)
        except RegistryAwayError:
            return None

    def record(self, record: str) -> dict[str, Any] | None:
        """All that is known of a record, as JSON; None when it is not there."""
        row = self.index.one(record)
        if row is None:
            return None
        kept: dict[str, Any] = next((piece.to_pylist()[0] for piece in self.payloads([record])), {})
        return {
            **listed(row),
            "key": _text(kept.get("key")),
            "bytes": len(kept.get("value") or b""),
            "hex": (kept.get("value") or b"")[:4096].hex(),
            "payload": told(read(kept.get("value"), self.schema)),
            "history": self.history(row),
        }

    def history(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The attempts of one event, the first first: each was turned away, and mostly replayed as the next one."""
        first, seen = row, {row["id"]}
        while (parent := self._parent(first)) is not None and parent["id"] not in seen:
            first = parent
            seen.add(first["id"])
        attempts = [first]
        while (child := self._child(attempts[-1])) is not None and len(attempts) < _CHAIN_AT_MOST:
            attempts.append(child)
        return [self._attempt(number, each) for number, each in enumerate(attempts, 1)]

    def _parent(self, row: dict[str, Any]) -> dict[str, Any] | None:
        parent = self.markers.parent(f"{row[SOURCE_PARTITION]}:{row[SOURCE_OFFSET]}")
        return None if parent is None else self.index.one(parent)

    def _child(self, row: dict[str, Any]) -> dict[str, Any] | None:
        marker = self.markers.of(row["id"])
        if marker is None or marker.raw is None:
            return None
        partition, _, offset = marker.raw.partition(":")
        return self.index.from_raw(int(partition), int(offset))

    def _attempt(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        marker = self.markers.of(row["id"])
        return {
            "attempt": number,
            **listed(row),
            "marker": None if marker is None else marker.model_dump(mode="json"),
        }

    def diverted(self) -> list[dict[str, Any]]:
        """Micro-batches that lake's gate diverted, the newest first, as JSON."""
        return [{name: _json(value) for name, value in each.items()} for each in self.table.diverted()]

    def kept(self, now: datetime) -> RejectsKept:
        """How many there are, as a fact."""
        rows = self.index.rows()
        newest = pc.max(rows["rejected_at"]).as_py()
        return RejectsKept(
            at=now,
            stream=self.stream.name,
            newest_at=newest,
            groups=groups(rows)[:_GROUPS_REPORTED],
            reason=self.unknown,
            **counts_of(rows),
        )


def listed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the index as JSON."""
    plain = {name: value for name, value in row.items() if name not in ("day", "batch")}
    return {name: _json(value) for name, value in plain.items()}


def _json(value: Any) -> Any:  # noqa: ANN401 (a column of any type)
    return value.isoformat() if isinstance(value, datetime) else value


def told(payload: Payload) -> dict[str, Any]:
    """A payload as JSON; what was decoded is JSON in a text, with its numbers as they are."""
    return {
        "how": payload.how,
        "schema_id": payload.schema_id,
        "json": None if payload.fields is None else shown(payload.fields),
        "text": payload.text,
        "rest_hex": payload.rest[:4096].hex(),
        "rest_bytes": len(payload.rest),
        "breaks_at": payload.breaks_at,
        "why": payload.why,
    }


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode("utf-8", "replace")
