"""Days of events anew: from the lake's history, from what was turned away, or from files."""
