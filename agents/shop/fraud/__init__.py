"""Fraud: the agent that scores payments."""

import agents.shop.fraud.choice  # noqa: F401 - what a language model may choose
from agents.shop.fraud.rules import fraud

__all__ = ["fraud"]
