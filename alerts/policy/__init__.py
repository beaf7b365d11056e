"""From facts to incidents: pure, with the time as a parameter."""
