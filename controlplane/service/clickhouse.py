"""How does the hub ask ClickHouse? By the ordinary client, one a thread, and an error is one sentence."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

    from controlplane.service.frames import Query, Row

_TIMEOUT_S = 5
_SETTINGS = {"max_threads": 1}
"""A rollup's rows fit one thread; sharing them out costs more than it saves."""
_UNKNOWN_TABLE = "UNKNOWN_TABLE"


def query_of(address: str) -> Query:
    """A function that runs a SELECT at an address; connects when first asked, and again after a failure."""
    local = threading.local()

    def query(sql: str, **parameters: int | str) -> Sequence[Row]:
        try:
            client: Client | None = getattr(local, "client", None)
            if client is None:
                client = local.client = clickhouse_connect.get_client(
                    dsn=address,
                    autogenerate_session_id=False,
                    connect_timeout=_TIMEOUT_S,
                    send_receive_timeout=_TIMEOUT_S,
                    settings=_SETTINGS,
                )
            return [tuple(row) for row in client.query(sql, parameters=parameters or None).result_rows]
        except ClickHouseError as error:
            local.client = None
            if _UNKNOWN_TABLE in str(error):
                raise FileNotFoundError("ClickHouse has no table of this stream yet") from error
            raise OSError(f"ClickHouse does not answer: {why(error)}") from error

    return query


def why(error: BaseException) -> str:
    """The system's own word for it (`Connection refused`) where there is one: it is short, and the same each time.

    What the client says of a lost connection goes on about retries and names a new query id at every try.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0][:200]
