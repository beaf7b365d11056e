"""What does it cost and how long does it take? A leaf: it may import every room, no room imports it."""
