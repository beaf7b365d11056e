"""Events over HTTP, for who can't speak Kafka: judged by the registry's schemas, taken when Kafka has them for good."""
