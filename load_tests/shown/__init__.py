"""A platform at one moment of a made-up day, for pictures of the console: facts, rooms, operations, a past, and no service."""
