"""What was observed of consumers, queries, stages and executors, kept in ClickHouse for thirty days."""
