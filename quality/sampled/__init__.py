"""Ingest, looked at from outside: what route turned away, and whether Great Expectations agrees with what it let through."""
