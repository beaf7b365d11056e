"""Executors that come and go: what is wanted, what is there, and the moment in which one may leave."""
