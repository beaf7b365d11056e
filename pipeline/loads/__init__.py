"""Load tests: an operation that has a stream, the console or the hub loaded, and watches it; `findings` says what came of it."""
