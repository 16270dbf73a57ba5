"""Incident: the agent that finds the change of a service that many errors came from."""

import agents.platform.incident.choice  # noqa: F401 - what a language model may choose
from agents.platform.incident.rules import incident

__all__ = ["incident"]
