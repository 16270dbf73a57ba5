"""The shop as it is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from agents.model.catalogue import Catalogue
from agents.model.history import History
from agents.shop import shop
from tables.event import Event
from tables.window import Entry

CATALOGUE = Catalogue([shop])
AGENTS = CATALOGUE.agents
#: Those that leave something to a model.
CHOOSERS = [name for name, agent in AGENTS.items() if agent.choosing is not None]
TYPES = CATALOGUE.types
EVENT_TYPES = CATALOGUE.types.events
DOMAIN_TOPICS = CATALOGUE.topics
ENTITIES = CATALOGUE.entities
parse_data = TYPES.parse


def shop_history(event: Event, entries: Sequence[Entry] = ()) -> History:
    """The history of an event of the shop."""
    return History(TYPES.receive(event), tuple(entries), TYPES)
