"""For programs that want to see what the console sees: clients of the control plane."""
