"""Root cause: the agent that names the event that led to an order's error."""

import agents.shop.root_cause.choice  # noqa: F401 - what a language model may choose
from agents.shop.root_cause.rules import root_cause

__all__ = ["root_cause"]
