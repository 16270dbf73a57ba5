"""Decisions, their effects and their messages: one PostgreSQL transaction, then Kafka. No Faust here."""
