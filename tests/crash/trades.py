"""Trades: what is loaded into the workers that are hurt, what goes on there, and where it is hurt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import building
import orders
import selling
from ci_catalogue import CATALOGUE as CI
from shop_catalogue import CATALOGUE as SHOPS
from stream import Draw, Story

from agents.model.catalogue import TIMELINE, Catalogue


@dataclass(frozen=True, kw_only=True)
class Trade:
    """One domain, as the crash suite loads it."""

    #: The setting `DOMAINS`.
    domains: str
    catalogue: Catalogue
    draw: Draw
    story: Story
    #: Where its broken records go.
    topic: str
    #: Agents whose windows are poisoned in turn.
    poisoned: Sequence[str]
    #: Topics that only workers write to, and such that workers read from.
    written: Sequence[str]
    read: Sequence[str]

    @property
    def topics(self) -> Sequence[str]:
        """Every domain topic."""
        return self.catalogue.topics

    @property
    def timelines(self) -> Sequence[str]:
        """Every timeline."""
        return [f"{TIMELINE}{entity}" for entity in self.catalogue.entities]


SHOP = Trade(
    domains="agents.shop:shop",
    catalogue=SHOPS,
    draw=selling.draw,
    story=orders.story,
    topic=selling.TOPIC,
    poisoned=("fraud", "recovery", "root_cause"),
    written=("timeline-order", "ledger", "timeline-customer", "dead-letters"),
    read=("shipping", "payments", "orders", "platform"),
)
#: A domain that is not the shop, in a package of its own.
CI_TRADE = Trade(
    domains="myci:ci",
    catalogue=CI,
    draw=building.draw,
    story=building.story,
    topic=building.TOPIC,
    poisoned=("flaky", "blame", "incident"),
    written=("timeline-repository", "recovery", "timeline-service", "dead-letters"),
    read=("builds", "platform"),
)

#: By the name of a test's parameter.
TRADES: Mapping[str, Trade] = MappingProxyType({"shop": SHOP, "ci": CI_TRADE})
