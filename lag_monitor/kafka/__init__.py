"""What is asked of a Kafka cluster, and mirrored into it."""
