"""The console's door: the page at which one signs in, and the guard that leads there."""
