"""Maintenance: Delta tables of few, large files; no files, checkpoints or settings that nobody needs; all by policy."""
