"""Delta tables that follow a stream's events: entities by MERGE, rollups of closed windows."""
