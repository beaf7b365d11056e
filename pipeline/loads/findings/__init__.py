"""What came of a load test: its seconds side by side, what is to be thought of them, every event counted, two runs compared."""
