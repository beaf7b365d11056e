"""The control plane: the types every room speaks, the API and hub, the supervisor and the command line."""
