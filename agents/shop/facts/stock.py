"""Stock: an article of the order ran short, and is still missing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from agents.model.history import Past, trace
from agents.shop.events import InventoryReserved, InventoryShort
from agents.shop.facts.candidate import Candidate, Findings, Harmless
from agents.shop.facts.story import Story
from agents.shop.failures import Failure


def stock_shortage(story: Story) -> Findings:
    """Articles ran short and were not reserved in full later; the first shortage still open is to blame for all.

    Reservations after a shortage add up, by article. The newest version of the order says how many are wanted.
    """
    reserved: Counter[str] = Counter()
    still_open: list[Past[InventoryShort]] = []
    harmless: list[Harmless] = []
    both: list[Past[Any]] = [*story.of(InventoryShort), *story.of(InventoryReserved)]
    for past in sorted(both, key=story.place, reverse=True):
        if isinstance(past.data, InventoryReserved):
            reserved[past.data.sku] += past.data.wanted
        elif why := _made_good(story, past, reserved[past.data.sku]):
            harmless.append(Harmless(trace(past), why))
        else:
            still_open.append(past)
    if not still_open:
        return Findings(None, harmless[::-1])
    first, *more = still_open[::-1]
    doubts = [_doubt(story, short) for short in still_open]
    candidate = Candidate(
        failure=Failure.STOCK_SHORTAGE,
        culprit=trace(first),
        repeats=tuple(map(trace, more)),
        # One that is surely open is enough.
        doubt=doubts[-1] if all(doubts) else "",
    )
    return Findings(candidate, harmless[::-1])


def _made_good(story: Story, short: Past[InventoryShort], reserved: int) -> str:
    """Why nothing of this article is missing any more; "" when it is."""
    sku = short.data.sku
    if not story.holds(sku):
        return "article not in the order"
    wanted = min(short.data.wanted, story.pieces.get(sku, short.data.wanted))
    if reserved >= wanted:
        return "reserved in full later"
    if _asks_for_fewer(story, short) and short.data.available >= wanted:
        return "the order asks for fewer since, and those were there"
    return ""


def _doubt(story: Story, short: Past[InventoryShort]) -> str:
    if not _asks_for_fewer(story, short):
        return ""
    return f"whether as many of {short.data.sku} are missing as the order asks for since it was amended"


def _asks_for_fewer(story: Story, short: Past[InventoryShort]) -> bool:
    """Whether the order was amended after the shortage, and wants fewer than were missing then."""
    amended = story.amended
    is_later = amended is not None and story.later(amended, trace(short))
    return is_later and story.pieces.get(short.data.sku, 0) < short.data.wanted
