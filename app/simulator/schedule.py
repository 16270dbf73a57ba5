"""Schedule: who orders when, and which orders fail of what."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from app.simulator import journey, people
from app.simulator.failures import FIRST, KINDS, SECOND, Kind, failing_order
from app.simulator.frauds import Fraud, fraudulent_order
from app.simulator.people import Customer
from app.simulator.platform import Platform
from app.simulator.records import Produced, broken_records, disordered, record
from app.simulator.story import OrderStory
from app.simulator.truth import WAVE, Simulation
from app.simulator.unusual import TALES, Tale
from app.simulator.words import STEPS

_ORDERS_A_DAY: Final = 20
_ORDERS_PER_CUSTOMER: Final = 4
#: The next order of an honest customer is placed so long after the last one was paid.
_PAUSE: Final = timedelta(hours=2)
#: One campaign of each kind of fraud for so many orders.
_ORDERS_PER_FRAUD: Final = 50
_TAKEOVER: Final[tuple[Fraud, ...]] = (
    "before_takeover",
    "before_takeover",
    "before_takeover",
    "charged_back",
    "takeover",
    "takeover",
)
_CARD_TEST: Final[tuple[Fraud, ...]] = ("card_test", "card_test")
#: Orders hit by one incident, and the share of the failures that are incidents.
_INCIDENT: Final = (5, 8)
_INCIDENT_SHARE: Final = 0.35
#: With this many failures each kind is there; an incident is a small one until there is room for more.
_EVERY_KIND_FROM: Final = 12
_SMALL_INCIDENT: Final = 3
#: Among unusual orders, a deployment hits this share of all, the last ones.
_WAVE_PERCENT: Final = 15
_ORDERS_PER_BROKEN: Final = 50
#: Services that have to do with an order even when its parcel has left.
_AFTER_SHIPPING: Final = frozenset({"notifications", "accounting"})


@dataclass(frozen=True, slots=True)
class _Incident:
    orders: Sequence[int]
    service: str
    failure: str
    #: What happened to its orders, unless the failure says it.
    kind: str | None = None


@dataclass(slots=True)
class _Roles:
    """What is special about an order, by its number."""

    frauds: dict[int, tuple[Fraud, int]] = field(default_factory=dict)
    incidents: list[_Incident] = field(default_factory=list)
    failures: dict[int, Sequence[Kind]] = field(default_factory=dict)
    unusual: dict[int, Tale] = field(default_factory=dict)


def simulate(
    *, seed: int, orders: int, failures: int, start: datetime, noise: bool = True, unusual: int = 0
) -> Simulation:
    """Tell the story of a shop with so many orders and so many errors; `start` (UTC) precedes every event.

    From 12 failures on each kind is there at least once. So many orders are `unusual` beside those that fail, of each
    kind in turn (`app.simulator.unusual`), with errors of their own. Without `noise` nothing happens but orders,
    frauds and failures. Raises ValueError when there are fewer than two orders for each of both.
    """
    if (failures + unusual) * 2 > orders:
        needed = (failures + unusual) * 2
        raise ValueError(f"{failures + unusual} failures need at least {needed} orders, got {orders}")
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    roles = _roles(chance, orders, failures, unusual)
    platform = Platform(chance)
    stories = _tell(chance, roles, platform, orders=orders, start=start, noise=noise)
    if noise:
        platform.harmless_changes(start, max((story.at for story in stories), default=start))
    happenings = [happening for story in stories for happening in story.happenings] + platform.happenings
    records = [record(happening) for happening in happenings]
    if noise:
        records += _broken(stories)
    broken = len(records) - len(happenings)
    if unusual:
        records = list(disordered(chance, records))
    times = {each.id: each.at for each in happenings}
    return Simulation(
        # Sorting keeps the order of what was told: only broken records share a time with an event.
        records=tuple(sorted(records, key=lambda each: each.at)),
        truth=tuple(sorted((t for story in stories for t in story.truth), key=lambda t: times[t.error_event_id])),
        captures=tuple(sorted((c for story in stories for c in story.captures), key=lambda c: c.at)),
        broken=broken,
        cases=tuple(story.case for story in stories if story.case is not None),
        moments={story.id: story.books.moments for story in stories},
        stolen=frozenset(
            capture.payment_id for story in stories if story.books.is_stolen for capture in story.captures
        ),
        unusual=frozenset(stories[number].id for number in roles.unusual),
        moods={event_id: mood for story in stories for event_id, mood in story.moods.items()},
    )


def simulated_until_now(*, seed: int, orders: int, failures: int, unusual: int = 0) -> Simulation:
    """The story that ends ten minutes ago: what follows from it comes after it. Raises like `simulate`."""
    beginning = datetime(2024, 5, 1, tzinfo=UTC)
    rehearsal = simulate(seed=seed, orders=orders, failures=failures, start=beginning, unusual=unusual)
    lasts = rehearsal.records[-1].at - beginning
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10) - lasts
    return simulate(seed=seed, orders=orders, failures=failures, start=start, unusual=unusual)


def _tell(
    chance: random.Random, roles: _Roles, platform: Platform, *, orders: int, start: datetime, noise: bool
) -> list[OrderStory]:
    honest = [people.customer(chance, number, start) for number in range(max(1, orders // _ORDERS_PER_CUSTOMER))]
    frauds: dict[int, Customer] = {}
    members = {number: incident for incident in roles.incidents for number in incident.orders}
    waiting: dict[int, OrderStory] = {}
    stories = []
    for number in range(orders):
        at = start + timedelta(days=(number + chance.random()) / _ORDERS_A_DAY)
        fraud, campaign = roles.frauds.get(number, (None, -1))
        if fraud is not None:
            buyer = frauds.setdefault(campaign, people.customer(chance, len(honest) + campaign, start))
        else:
            buyer = _buyer(chance, honest, at)
        story = OrderStory(chance, number, buyer, max(at, buyer.free_at))
        stories.append(story)
        if fraud is not None:
            fraudulent_order(story, fraud)
        elif number in members:
            incident = members[number]
            waiting[number] = story
            story.kind = incident.kind
            _until_incident(story, incident.service, noise=noise)
            if number == incident.orders[-1]:
                group = [waiting[each] for each in incident.orders]
                platform.incident(group, incident.service, incident.failure, noise=noise)
                for each in group:
                    each.customer.free_at = max(each.customer.free_at, _free_at(each))
        else:
            _ordinary(story, roles, number, platform, noise=noise)
        buyer.free_at = max(buyer.free_at, _free_at(story))
    return stories


def _ordinary(story: OrderStory, roles: _Roles, number: int, platform: Platform, *, noise: bool) -> None:
    """An order that goes well, or fails of something of its own."""
    if number in roles.unusual:
        _unusual(story, roles, number, platform)
        return
    if number not in roles.failures:
        journey.until_payment(story, noise=noise)
        journey.pay(story)
        journey.after_payment(story, noise=noise)
        journey.deliver(story, noise=noise)
        journey.judge(story, failed=False)
        return
    service = story.chance.choice(_unaffected(roles, number))
    failing_order(story, roles.failures[number], noise=noise, service=service)
    if story.truth[-1].culprit_event_id is None:
        error = next(each for each in story.happenings if each.id == story.truth[-1].error_event_id)
        platform.suspect(service, error.at)


def _unusual(story: OrderStory, roles: _Roles, number: int, platform: Platform) -> None:
    """An order of one of the unusual kinds."""
    service = story.chance.choice(_unaffected(roles, number))
    roles.unusual[number](story, service)
    unexplained = {each.error_event_id for each in story.truth if each.culprit_event_id is None}
    for each in story.happenings:
        if each.id in unexplained:
            platform.suspect(service, each.at)
    journey.speak_up(story)


def _until_incident(story: OrderStory, service: str, *, noise: bool) -> None:
    """An order until it needs the service that is going to fail."""
    journey.until_payment(story, noise=noise)
    if service != "payments":
        journey.pay(story)
        journey.after_payment(story, noise=noise)
    if service in _AFTER_SHIPPING:
        journey.deliver_early(story, noise=noise)


def _buyer(chance: random.Random, customers: Sequence[Customer], at: datetime) -> Customer:
    free = [customer for customer in customers if customer.free_at <= at]
    return chance.choice(free) if free else min(customers, key=lambda customer: customer.free_at)


def _free_at(story: OrderStory) -> datetime:
    """An order in the middle of its payment keeps its customer busy for a day: an incident may hold it up."""
    if not story.captures:
        return story.at + timedelta(days=1)
    return story.captures[-1].at + _PAUSE


def _unaffected(roles: _Roles, number: int) -> list[str]:
    """The services without an incident in the days around an order: a lone error there is nobody's fault."""
    days = 3 * _ORDERS_A_DAY
    near = {each.service for each in roles.incidents if abs(each.orders[-1] - number) <= days}
    return [service for service in STEPS if service not in near] or list(STEPS)


def _roles(chance: random.Random, orders: int, failures: int, unusual: int) -> _Roles:
    roles = _Roles()
    for campaign in range(2 * (orders // _ORDERS_PER_FRAUD)):
        steps = _CARD_TEST if campaign % 2 else _TAKEOVER
        honest = _honest(roles, orders)
        numbers = sorted(chance.sample(honest, len(steps)))
        roles.frauds.update({n: (step, campaign) for n, step in zip(numbers, steps, strict=True)})
    sizes = _incident_sizes(chance, failures)
    honest = _honest(roles, orders)
    wave = len(honest) * _WAVE_PERCENT // 100 if unusual else 0
    roles.incidents.extend(_incidents(chance, honest[: len(honest) - wave], sizes))
    if wave:
        service = chance.choice(("shipping", "notifications", "accounting"))
        roles.incidents.append(_Incident(honest[-wave:], service, "bad_deployment", WAVE))
    taken = {number for incident in roles.incidents for number in incident.orders}
    free = [number for number in _honest(roles, orders) if number not in taken]
    groups = list(_single_failures(chance, failures - sum(sizes)))
    roles.failures = dict(zip(chance.sample(free, len(groups)), groups, strict=True))
    if unusual:
        ordinary = [number for number in free if number not in roles.failures]
        tales = [TALES[each % len(TALES)] for each in range(unusual)]
        roles.unusual = dict(zip(sorted(chance.sample(ordinary, unusual)), tales, strict=True))
    return roles


def _honest(roles: _Roles, orders: int) -> list[int]:
    return [number for number in range(orders) if number not in roles.frauds]


def _incident_sizes(chance: random.Random, failures: int) -> list[int]:
    """How many orders each incident hits; at least two incidents when there is room for every kind."""
    if failures < _EVERY_KIND_FROM:
        return []
    smallest, largest = _INCIDENT
    if failures < 2 * smallest + len(KINDS):
        return [_SMALL_INCIDENT, _SMALL_INCIDENT]
    left = max(2 * smallest, round(failures * _INCIDENT_SHARE))
    sizes: list[int] = []
    while left >= smallest:
        room = left if sizes else left - smallest
        sizes.append(chance.randint(smallest, min(largest, room)))
        left -= sizes[-1]
    return sizes


def _incidents(chance: random.Random, honest: Sequence[int], sizes: Sequence[int]) -> Iterator[_Incident]:
    """Incidents of changing services, each in a stretch of the story of its own."""
    services = chance.sample(tuple(STEPS), len(STEPS))
    for number, size in enumerate(sizes):
        begin, end = (len(honest) * edge // len(sizes) for edge in (number, number + 1))
        first = chance.randrange(begin, max(begin, end - size) + 1)
        failure = "bad_configuration" if number % 2 else "bad_deployment"
        yield _Incident(honest[first : first + size], services[number % len(services)], failure)


def _single_failures(chance: random.Random, wanted: int) -> Iterator[Sequence[Kind]]:
    """So many failures over all kinds, grouped by order; one order in about twenty has two."""
    kinds = [KINDS[number % len(KINDS)] for number in range(wanted)]
    pairs: list[Sequence[Kind]] = []
    for _ in range(wanted // 20):
        first = chance.choice([kind for kind in kinds if kind in FIRST])
        second = chance.choice([kind for kind in kinds if kind in SECOND])
        kinds.remove(first)
        kinds.remove(second)
        pairs.append((first, second))
    yield from pairs
    yield from ((kind,) for kind in kinds)


def _broken(stories: Sequence[OrderStory]) -> list[Produced]:
    """A few records nobody can read, about every 50 orders."""
    return [
        each
        for number, story in enumerate(stories)
        if number % _ORDERS_PER_BROKEN == _ORDERS_PER_BROKEN // 5
        for each in broken_records(number, story.happenings[0].at)
    ]
