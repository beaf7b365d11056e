"""What was sent, made into what Kafka gets: bodies into events, JSON into Avro, with everything that is wrong named."""
