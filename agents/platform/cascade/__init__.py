"""Cascade: the agent that follows a loss along the calls between services."""

import agents.platform.cascade.choice  # noqa: F401 - what a language model may choose
from agents.platform.cascade.rules import cascade

__all__ = ["cascade"]
