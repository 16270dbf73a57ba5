"""Fulfilment: the agent that asks for goods to be packed."""

import agents.shop.fulfilment.choice  # noqa: F401 - what a language model may choose
from agents.shop.fulfilment.rules import fulfilment

__all__ = ["fulfilment"]
