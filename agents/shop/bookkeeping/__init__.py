"""Bookkeeping: the agent that writes down what others gave back."""

from agents.shop.bookkeeping.rules import bookkeeping

__all__ = ["bookkeeping"]
