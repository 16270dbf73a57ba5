"""Incident: the agent that finds the change of a service that many errors came from."""
