"""Whom the shop's events are about."""

from __future__ import annotations

from typing import Final

from agents.model.entity import Entity

customer: Final = Entity("customer", field="customer_id")
order: Final = Entity("order", field="order_id")
