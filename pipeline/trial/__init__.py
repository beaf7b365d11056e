"""A changed definition against today's, on the same events."""
