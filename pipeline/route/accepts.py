"""Can route run with a new version of its reference tables or of its suite? It does once what its query will do with them.

What Spark or the registry refuses is a `RefusedError`: somebody has to mend it. A registry that is away is not: then nothing
is known, and it is asked again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from confluent_kafka.schema_registry import SchemaRegistryError
from pyspark.sql import functions as sf
from pyspark.sql.avro.functions import from_avro

from controlplane.contract.names import Hop, subject
from controlplane.contract.refusals import SchemaRefusedError
from controlplane.contract.rule_types import fractions_of
from controlplane.contract.valid import valid_schema
from pipeline.reason import reason_of
from pipeline.registry import learned, register
from pipeline.route.followed import RefusedError
from pipeline.route.references import references_of

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition
    from pipeline.route.frame import RuleCompiler

_REFUSED = (409, 422)
"""What the registry answers to a schema that is incompatible, or none."""


def accept_tables(session: SparkSession, registry: SchemaRegistryClient, stream: StreamDefinition) -> None:
    """Read the reference tables, and register the columns that they add.

    Raises:
        RefusedError: if Spark cannot read them, or the registry refuses what they add.
        SchemaRegistryError: if the registry does not answer.
    """
    try:
        for table in references_of(session, stream).values():
            table.write.format("noop").mode("overwrite").save()
    except Exception as error:
        raise RefusedError(f"Spark cannot read them: {reason_of(error)}") from error
    try:
        now = learned(registry, stream).stream
        register(registry, subject(stream.name, Hop.VALID), valid_schema(now))
    except SchemaRefusedError as error:
        raise RefusedError(f"the registry refuses their columns: {error}") from error
    except SchemaRegistryError as error:
        if error.http_status_code not in _REFUSED:
            raise
        said = error.error_message.rsplit("Exception: ", 1)[-1]
        raise RefusedError(f"the registry refuses their columns: {said}") from error


def accept_suite(session: SparkSession, stream: StreamDefinition, broken_rules: RuleCompiler) -> None:
    """Hold the rules against an event of nulls: Spark then knows every column, type and regular expression in them.

    Raises:
        RefusedError: if Spark cannot run them.
    """
    # A row from Python is not folded away before the rules are compiled, as a literal would be.
    nothing = session.createDataFrame([(bytearray(),)], "value binary")
    event = from_avro(sf.col("value"), json.dumps(stream.avro_schema), {"mode": "PERMISSIVE"})
    try:
        broken = broken_rules(stream.row_rules, fractions_of(stream.avro_schema))
        rows = nothing.select(event.alias("event")).select("event.*").select(broken)
        rows.write.format("noop").mode("overwrite").save()
    except Exception as error:
        raise RefusedError(f"Spark cannot run its rules: {reason_of(error)}") from error
