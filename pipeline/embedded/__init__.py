"""ClickHouse without a server to install: chDB behind ClickHouse's own HTTP protocol.

Every other part uses the ordinary clickhouse-connect client with an address and never knows.
"""

from pipeline.embedded.serve import CannotOpenError, serve

__all__ = ["CannotOpenError", "serve"]
