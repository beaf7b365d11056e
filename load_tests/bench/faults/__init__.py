"""Exactly once, proven by killing things: rounds of faults on the real platform under load, then every row is compared."""
