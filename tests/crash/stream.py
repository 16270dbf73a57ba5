"""Stream: what every trade sends, with everything a checker has to cope with in its events.

Several events of each entity, some sent twice, some late, some broken, some with an id that another source has used. A
few records in a hundred are stories of entities, several told at the same time. A record that must become a dead letter
says so in a header; half of those have a timestamp that is no time.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from evidence import BROKEN
from lenient import ODD
from sale import SOURCE, Sale, event

OPENING: Final = datetime(2020, 1, 1, tzinfo=UTC)
#: Of forty entities that take turns, fifty events of one take some forty days, so that the age of the window counts as
#: well as its length.
ENTITIES: Final = 40
BETWEEN_EVENTS: Final = timedelta(minutes=30)
#: The stamp of a record, in milliseconds since 1970: the year 0, which is none.
IMPOSSIBLE_MS: Final = -62_135_683_200_000

_RUBBISH: Final = (b'{"specversion": "1.0", "id": ', None, b"\xff\xfe not text", b"[]", b'{"specversion": "1.0"}')


@dataclass(frozen=True, slots=True)
class Drawn:
    """What happens to an entity; the rest of the event is the same in every trade."""

    topic: str
    kind: str
    key: str
    data: dict[str, Any]


#: Draws what happens next, by its number; ids and entities carry the name.
Draw = Callable[[random.Random, int, str], Drawn]
#: The records of one entity in the order in which they happened, given its number, a name and the time now.
Story = Callable[[int, str, datetime], Iterator[Sale]]


def stream(draw: Draw, story: Story, topic: str, *, seed: int, name: str, now: datetime) -> Iterator[Sale]:
    """Records without end, the same for the same arguments; what is broken is sent to `topic`."""
    chance = random.Random(seed)
    recent: deque[Sale] = deque(maxlen=200)
    stories: deque[Iterator[Sale]] = deque()
    number = begun = 0
    while True:
        dice = chance.random()
        if dice < 0.02:
            stamp = IMPOSSIBLE_MS if number % 2 else None
            yield Sale(topic, b"broken-%d" % number, chance.choice(_RUBBISH), (BROKEN,), stamp_ms=stamp)
            continue
        if dice < 0.05 and recent:
            yield chance.choice(recent)
            continue
        if dice < 0.06 and recent:
            number += 1
            yield _sale(draw, chance, number, name, namesake=chance.choice(recent))
            continue
        # The first two, of which an effect has to come, by then: a short load has some too.
        if dice < 0.08 or begun < min(2, number // 10):
            stories.append(story(begun, name, now))
            begun += 1
        sale = _next(stories) if dice < 0.21 else None
        if sale is None:
            number += 1
            sale = _sale(draw, chance, number, name)
        recent.append(sale)
        yield sale


def singles(draw: Draw, seed: int, name: str) -> Iterator[Sale]:
    """What is drawn and nothing else, without end, the same for the same arguments."""
    chance = random.Random(seed)
    for number in count(1):
        yield _sale(draw, chance, number, name)


def _next(stories: deque[Iterator[Sale]]) -> Sale | None:
    """The next record of the story whose turn it is; None when all are told."""
    while stories:
        story = stories.popleft()
        sale = next(story, None)
        if sale is not None:
            stories.append(story)
            return sale
    return None


def _sale(draw: Draw, chance: random.Random, number: int, name: str, *, namesake: Sale | None = None) -> Sale:
    """An event; with a `namesake` of its id, from another source, with a header whose name is no text."""
    drawn = draw(chance, number, name)
    at = OPENING + number * BETWEEN_EVENTS
    if chance.random() < 0.02:
        at -= timedelta(days=chance.randrange(1, 60))
    binary = number % 3 == 0
    if namesake is None or namesake.event_id is None:
        event_id = f"{name}-e-{number}"
        return event(drawn.topic, drawn.kind, event_id, drawn.data, key=drawn.key, at=at, binary=binary)
    source = f"{SOURCE}:{number}"
    sale = event(
        drawn.topic, drawn.kind, namesake.event_id, drawn.data, key=drawn.key, at=at, binary=binary, source=source
    )
    return replace(sale, headers=(*sale.headers, ODD))
