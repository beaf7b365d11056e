"""What was turned away, as an operator looks at it."""
