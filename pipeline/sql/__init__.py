"""SQL that only reads: over ClickHouse and over the lake, within limits."""
