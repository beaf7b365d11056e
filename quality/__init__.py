"""What may pass: row rules compiled to Spark Columns (later: gates, quarantine and replay)."""
