"""Decode, validate, enrich: every raw record becomes exactly one valid, dead or quarantined record."""
