"""The domain under `tests/domains/myci` as it is loaded, alone and beside the shop."""

from __future__ import annotations

from typing import Final

from myci import ci

from agents.model.catalogue import Catalogue
from agents.model.history import History
from agents.shop import shop
from tables.event import Event, to_json
from tables.window import Entry

CATALOGUE: Final = Catalogue([ci])
#: In the order of `DOMAINS=agents.shop:shop,myci:ci`.
BESIDE_THE_SHOP: Final = Catalogue([shop, ci])


def ci_history(event: Event, *earlier: Event) -> History:
    """The history of `event` after `earlier`, which lie at the offsets from 0."""
    entries = [Entry(seq, seq, each.time, each.id, to_json(each)) for seq, each in enumerate(earlier)]
    return History(CATALOGUE.types.receive(event), tuple(entries), CATALOGUE.types)
