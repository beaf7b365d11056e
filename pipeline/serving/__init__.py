"""The ClickHouse side of a stream: its tables and materialized views, generated from `stream.yaml`."""
