"""Confirmation: the agent that tells customers that their payment arrived."""

import agents.shop.confirmation.choice  # noqa: F401 - what a language model may choose
from agents.shop.confirmation.rules import confirmation

__all__ = ["confirmation"]
