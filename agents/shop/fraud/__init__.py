"""Fraud: the agent that scores payments."""
