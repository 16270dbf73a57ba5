"""Measures: money that was given back, for operators."""

from __future__ import annotations

from typing import Final

from agents.model.measure import Measure
from agents.shop.given_back import GivenBack
from agents.shop.refunds import Refund

SHOP_MEASURES: Final = (
    Measure(name="refunds", help="Refunds that agents made.", effect=Refund, labels=("currency",)),
    Measure(
        name="refunded",
        help="Money that agents gave back, in minor units of its currency.",
        effect=Refund,
        labels=("currency",),
        adds="amount_minor",
        unit="minor",
    ),
    Measure(
        name="given_back_by_others",
        help="Money that banks and other people gave back, in minor units of its currency.",
        effect=GivenBack,
        labels=("what", "currency"),
        adds="amount_minor",
        unit="minor",
    ),
)
