"""The audit log: who did what to what, on a chain of hashes that can't be changed unseen."""
