"""What is kept of a record that was turned away? The columns of the Delta tables `rejects` and `diverted`.

`rejects` has every dead and quarantined record, written by quality from their topics. `diverted` has the records of
micro-batches that lake's gate diverted, written by lake. Both keep the bytes, so nothing expires with Kafka's retention.
"""

from __future__ import annotations

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, Hop

ID = "id"
"""`<hop>:<partition>:<offset>` of the record in the topic from which it was taken; unique in its stream."""
REJECT_COLUMNS = {
    ID: "string",
    "stage": "string",  # a `Stage`
    "reason": "string",  # a `Reason`
    "rules": "string",  # names of the broken rules, comma-separated; empty when none was
    "suite": "string",  # fingerprint; empty when no suite had a say
    "partition": "int",  # of the record in that topic
    "offset": "bigint",
    SOURCE_PARTITION: "int",  # of the raw record
    SOURCE_OFFSET: "bigint",
    "schema_id": "int",  # null when the record is not framed Avro
    "seen_at": "timestamp",  # when the raw topic took it
    "rejected_at": "timestamp",  # when it was turned away
    "key": "binary",
    "value": "binary",
    "batch": "string",  # diverted: which micro-batch of lake; null in `rejects`
    "day": "date",  # of `rejected_at`, UTC; the partition
}
"""Column -> Spark's name of its type, in the tables' order."""


def reject_id(hop: Hop, partition: int, offset: int) -> str:
    """The id of a record at these coordinates."""
    return f"{hop}:{partition}:{offset}"
