"""Kafka past Faust: what a kind of broker needs, the topics there must be, and timelines read without a group."""
