"""Engine: from a record of Kafka to a committed decision, whatever the agents and the domain are."""
