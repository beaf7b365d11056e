"""What is done with records that were turned away: replayed with fixes, or discarded, each once."""
