"""The way of an event: producer, route, lake, live, serving, and the ledger that proves nothing was lost on it."""
