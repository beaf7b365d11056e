"""What is in the lake, now and as of the past? History, rows and differences of Delta tables, without Spark."""
