"""What `tidegate` is told, a file a group of commands; `controlplane.cli` puts them together."""
