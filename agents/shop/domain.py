"""The shop as a domain: it uses no other door than any team's own."""

from __future__ import annotations

from typing import Final

from agents.model.domain import Domain
from agents.platform import platform
from agents.shop.bookkeeping import bookkeeping
from agents.shop.confirmation import confirmation
from agents.shop.entities import customer, order
from agents.shop.events import SHOP_EVENTS
from agents.shop.fraud import fraud
from agents.shop.fulfilment import fulfilment
from agents.shop.given_back import GivenBack
from agents.shop.listings import SHOP_LISTINGS
from agents.shop.measures import SHOP_MEASURES
from agents.shop.recovery import recovery
from agents.shop.refunds import Refund
from agents.shop.root_cause import root_cause

shop: Final = Domain(
    name="shop",
    entities=(customer, order),
    events=SHOP_EVENTS,
    agents=(fraud, fulfilment, confirmation, root_cause, recovery, bookkeeping),
    effects=(Refund, GivenBack),
    migrations="agents.shop:migrations",
    listings=SHOP_LISTINGS,
    measures=SHOP_MEASURES,
    uses=(platform,),
    carries=(order,),
)
