"""What may pass, and what becomes of what may not? Gates, quarantine and replay."""
