"""A stream's tables, checkpoint, transaction epoch and ClickHouse back to one version, together."""
