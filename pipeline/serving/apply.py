"""How does a stream's definition get into ClickHouse?

By asking what is there, deciding, and making what is missing. Running it again changes nothing, and a definition that
the tables no longer fit is an error before anything is touched, not a number that is quietly wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.names import batch_tables, events_table, published_table, valid_view
from pipeline.serving import ddl
from pipeline.serving.columns import text
from pipeline.serving.windows import published

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from controlplane.contract.streams import StreamDefinition


def create(client: Client, stream: StreamDefinition) -> None:
    """Make a stream's tables and views where missing, and add columns that its schema gained.

    Views see events from the moment they are made: call it before the first insert.

    Raises:
        ServingChangedError: if a table of an older definition is in the way; nothing has been changed then.
        ClickHouseError: the server's own.
    """
    relations = ddl.relations(stream)
    for relation in relations:
        _refuse_changed(relation, _of_table(client, relation.table, "comment"))
    events = events_table(stream.name)
    altered = ddl.alterations(stream, _columns(client, events), _of_table(client, events, "engine_full") or "")
    made = [statement for relation in relations for statement in relation.statements]
    for statement in [ddl.events(stream), published(stream.name), *altered, *_forgotten(client, stream), *made]:
        client.command(statement)
    _show_valid(client, stream.name)


def _show_valid(client: Client, stream: str) -> None:
    """A view keeps the columns that it was made with: it is made anew when its table has gained some."""
    columns = _columns(client, events_table(stream))
    shown = _columns(client, valid_view(stream))
    if shown != ddl.valid_columns(columns):
        client.command(ddl.valid(stream, columns, anew=bool(shown)))


def _forgotten(client: Client, stream: StreamDefinition) -> list[str]:
    """A rollup whose tables were dropped has nothing published any more."""
    lost = [key for key in stream.rollups if _of_table(client, batch_tables(stream.name, key)[0], "comment") is None]
    table, names = published_table(stream.name), ", ".join(text(key) for key in lost)
    if not lost or _of_table(client, table, "comment") is None:
        return []
    known = client.query(f"SELECT count() FROM {table} WHERE rollup IN ({names})").result_rows  # noqa: S608
    return [f"DELETE FROM {table} WHERE rollup IN ({names})"] if known[0][0] else []  # noqa: S608


def _refuse_changed(relation: ddl.Relation, comment: str | None) -> None:
    if comment not in (None, relation.fingerprint):
        raise ddl.ServingChangedError(
            f"ClickHouse has {relation.table} by another definition ({comment or 'unmarked'}) than the stream's of "
            f"today ({relation.fingerprint}); give the rollup a new name, or drop {relation.table}, "
            f"{relation.table}_mv and its view to begin it anew"
        )


def _of_table(client: Client, table: str, what: str) -> str | None:
    """A column of `system.tables`; None when there is no such table."""
    found = client.query(
        f"SELECT {what} FROM system.tables WHERE database = currentDatabase() AND name = {{name:String}}",  # noqa: S608
        parameters={"name": table},
    ).result_rows
    return str(found[0][0]) if found else None


def _columns(client: Client, table: str) -> dict[str, str]:
    found = client.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {name:String}",
        parameters={"name": table},
    ).result_rows
    return {str(column): str(kind) for column, kind in found}
