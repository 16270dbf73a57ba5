"""Recovery: the agent that undoes what went wrong with an order."""

import agents.shop.recovery.choice  # noqa: F401 - what a language model may choose
from agents.shop.recovery.rules import recovery

__all__ = ["recovery"]
