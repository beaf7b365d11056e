"""How many executors should a part have? Measured, decided by numbered rules, and kept until the part asks."""
