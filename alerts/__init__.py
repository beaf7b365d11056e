"""What is worth waking somebody for? Facts in, incidents out, and PagerDuty told of them."""
