"""State, API and hub: the one process that every room reports to and every screen reads from."""
