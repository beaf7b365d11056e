"""The console: glass. It shows and asks; it decides nothing."""
