"""Shop: the domain of orders and payments, and the first that others can be modelled on."""

from agents.shop.domain import shop

__all__ = ["shop"]
