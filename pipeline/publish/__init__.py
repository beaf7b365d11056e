"""Closed windows from the lake to ClickHouse, so that a reader sees each once."""
