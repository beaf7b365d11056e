"""How does one machine have a ClickHouse without installing one?

chDB is ClickHouse's own engine as a Python module: no process, no port, no users. This package puts it behind
ClickHouse's HTTP protocol, so that every other part uses the ordinary client with an address and never knows which of
the two it talks to. What it does not have (users, replication, sessions) it refuses by name.
"""

from pipeline.embedded.serve import serve

__all__ = ["serve"]
