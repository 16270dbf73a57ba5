"""Model: what an agent is made of, as values. It knows no domain, no Kafka and no database."""
