"""How does `tidegate ledger` tell an account? Pure: from the fact as the API answers it to what is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = ("produced", "valid", "dead", "quarantined", "lake", "serving")
_KEPT = ("verdict", "reason", "at", "changed_at", "partitions", "mismatches")


def account(fact: dict[str, Any]) -> dict[str, Any]:
    """A stream's totals (None where any partition's is unknown), verdict, partitions and mismatches."""
    counts = {column: [partition[column] for partition in fact["partitions"]] for column in COLUMNS}
    totals = {column: None if None in values or not values else sum(values) for column, values in counts.items()}
    return {"stream": fact["stream"], **totals, **{key: fact[key] for key in _KEPT}}


def mismatch_lines(taken: dict[str, Any]) -> Iterator[str]:
    """Where an account does not add up, a paragraph each."""
    for mismatch in taken["mismatches"]:
        yield f"{where_of(taken['stream'], mismatch)}: {what_of(mismatch)}"
        yield from (f"  {_record_line(record)}" for record in mismatch["records"])
        if mismatch["events"] > len(mismatch["records"]) > 0:
            yield f"  ... the first {len(mismatch['records'])} of {mismatch['events']:,}"


def where_of(stream: str, mismatch: dict[str, Any]) -> str:
    """`shop.raw[2] offsets 120,004-120,101`, the last included."""
    start, last = mismatch["start"], mismatch["until"] - 1
    offsets = f"offset {start:,}" if start == last else f"offsets {start:,}-{last:,}"
    return f"{stream}.raw[{mismatch['partition']}] {offsets}"


def what_of(mismatch: dict[str, Any]) -> str:
    """`3 events missing in serving`; what is missing in `valid` was not written by route at all."""
    events = mismatch["events"]
    hop = "what route wrote" if mismatch["hop"] == "valid" else mismatch["hop"]
    many = "event" if events == 1 else "events"
    return f"{events:,} {many} {'missing' if mismatch['kind'] == 'missing' else 'too many'} in {hop}"


def _record_line(record: dict[str, Any]) -> str:
    found = " ".join(f"{hop} {count}" for hop, count in record["found"].items())
    key = "no key" if record["key"] is None else f"key {record['key']}"
    return f"{record['offset']:,}  {record['at']}  {key}  {found}  {record['payload']}"
