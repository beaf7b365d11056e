"""Up to where has a query of ours come? None of them commits to Kafka what a tool would read; each says it in what it writes."""
