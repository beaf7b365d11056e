"""Load tests: an operation that has a stream, the console or the hub loaded, watches the platform, and counts afterwards."""
