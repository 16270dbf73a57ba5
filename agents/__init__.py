"""Agents, and what they share: domain events, routing, decisions and the stream loop."""
