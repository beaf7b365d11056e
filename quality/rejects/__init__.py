"""Records that were turned away, kept for good."""
