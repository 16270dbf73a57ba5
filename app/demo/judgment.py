"""Judgment: how well the agents judged, by the simulator's own books; what they gave back is held against what is owed.

Pure: whoever calls it has the log, the simulator's events and those of the agents, each once or more, in the order in
which the timelines have them. It knows the events by their description alone.

Owed is what was captured and neither given back by anyone nor covered by what can still be delivered. A refund may be
decided on before news that is on its way: it is too much when it exceeds what was owed at every moment from the event
that led to it until it was published.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.demo.verdicts import Calibration, Verdicts, judged_verdicts
from app.demo.walk import ORDINARY, Done, Published, Walk
from app.simulator import WAVE, Case, Outcome, Simulation

#: An order's outcome was right by itself, left to a person although it need not be, or neither.
RIGHT, LEFT, WRONG = "right", "left_to_people", "wrong"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fraud:
    """Payments by what they are and how they were judged; who is reviewed waits for a person."""

    caught: int
    missed: int
    honest_reviewed: int
    honest_blocked: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgment:
    """How well the agents judged. Shares run from 0 to 1, those without anything to share out are 1 when good."""

    #: By currency, in minor units: at the end, without what the agents gave back; and what they gave back.
    owed: Mapping[str, int]
    given_back: Mapping[str, int]
    #: Orders that got back more than was owed.
    over_refunds: int
    verdicts: Verdicts
    #: How many orders of each kind came out right, left to people, wrong.
    recovery: Mapping[str, Mapping[str, int]]
    #: Cases that need no person and came out right without one.
    by_itself: float
    #: Cases a person must hear of, or with which nothing was done, of which nobody heard.
    unescalated: int
    fraud: Fraud
    #: Cheerful confirmations to angry customers.
    tone_violations: int
    #: Orders packed though they were not paid in full.
    packed_unpaid: int
    #: How often a person was asked; and of the orders that one deployment hit, and its service.
    escalations: int
    wave_escalations: int
    #: Every wrong case, for a person.
    wrong: Sequence[str]

    @property
    def calibration(self) -> Mapping[str, Calibration]:
        """What verdicts claimed against how many were right."""
        return self.verdicts.calibration


def judge(simulation: Simulation, log: Iterable[Published]) -> Judgment:
    """Judge what the agents said by what is true."""
    walk = Walk(simulation)
    for event in log:
        walk.take(event)
    verdicts = judged_verdicts(simulation.truth, walk.named, {case.order_id: case.kind for case in simulation.cases})
    currencies = {each.order_id: each.currency for each in simulation.captures}
    owed: Counter[str] = Counter()
    for order_id, moments in simulation.moments.items():
        if order_id in currencies and moments:
            owed[currencies[order_id]] += moments[-1].owed_minor
    recovery, by_itself, unescalated, wrong = _recoveries(simulation, walk)
    return Judgment(
        owed=+owed,
        given_back=walk.given_back,
        over_refunds=len(walk.over),
        verdicts=verdicts,
        recovery=recovery,
        by_itself=by_itself,
        unescalated=unescalated,
        fraud=_fraud(simulation, walk.scores),
        tone_violations=len(walk.tones),
        packed_unpaid=len(walk.packed),
        escalations=walk.escalations,
        wave_escalations=_wave_escalations(simulation.cases, walk),
        wrong=[
            *walk.over.values(),
            *verdicts.wrong,
            *wrong,
            *_fraud_lines(simulation, walk.scores),
            *walk.tones,
            *walk.packed.values(),
        ],
    )


def _recoveries(
    simulation: Simulation, walk: Walk
) -> tuple[Mapping[str, Mapping[str, int]], float, int, Sequence[str]]:
    """How the orders came out by kind, the share by itself, how many nobody heard of, and what is wrong."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    unescalated = clear = alone = 0
    wrong = []
    for case in simulation.cases:
        done = walk.done[case.order_id]
        if case.service in walk.services:
            done.counts["EscalationRequested"] += 1
        grade = WRONG if case.order_id in walk.over else _grade(case, done)
        found[case.kind][grade] += 1
        clear += not case.is_doubtful
        alone += not case.is_doubtful and grade == RIGHT
        is_unheard = grade == WRONG and not done.counts["EscalationRequested"]
        unescalated += is_unheard and (case.is_doubtful or done.is_untouched)
        if grade == WRONG:
            wrong.append(f"{case.order_id} ({case.kind}): {done}, expected {' or '.join(map(_told, case.outcomes))}")
    known = {case.order_id for case in simulation.cases}
    stolen = {each.order_id for each in simulation.captures if each.payment_id in simulation.stolen}
    for order_id in simulation.moments.keys() - known - stolen:
        grade = RIGHT if walk.done[order_id].is_untouched else WRONG
        found[ORDINARY][grade] += 1
        if grade == WRONG:
            wrong.append(f"{order_id} ({ORDINARY}): {walk.done[order_id]}, expected nothing")
    by_itself = round(alone / clear, 4) if clear else 1.0
    return {kind: dict(found[kind]) for kind in sorted(found)}, by_itself, unescalated, wrong


def _wave_escalations(cases: Iterable[Case], walk: Walk) -> int:
    """How often people heard of a wave: of its orders one by one, or of its service."""
    wave = [case for case in cases if case.kind == WAVE]
    services = {case.service for case in wave}
    return sum(walk.asked[case.order_id] for case in wave) + sum(walk.asked[service or ""] for service in services)


def _grade(case: Case, done: Done) -> str:
    if case.most_escalations is not None and done.counts["EscalationRequested"] > case.most_escalations:
        return WRONG
    if any(done.fits(outcome) for outcome in case.outcomes):
        return RIGHT
    return LEFT if any(done.leaves(outcome) for outcome in case.outcomes) else WRONG


def _told(outcome: Outcome) -> str:
    names = [name for name in ("cancelled", "retried", "notified", "escalated") if getattr(outcome, name)]
    money = ["what is owed"] if outcome.refund_minor is None else map(" ".join, _items(outcome.refund_minor))
    return ", ".join([*money, *names]) or "nothing"


def _items(amounts: Mapping[str, int]) -> Iterable[tuple[str, str]]:
    return ((payment, str(minor)) for payment, minor in amounts.items())


def _fraud(simulation: Simulation, scores: Mapping[str, str]) -> Fraud:
    found = Counter((payment in simulation.stolen, verdict) for payment, verdict in scores.items())
    return Fraud(
        caught=found[True, "review"] + found[True, "block"],
        missed=found[True, "approve"],
        honest_reviewed=found[False, "review"],
        honest_blocked=found[False, "block"],
    )


def _fraud_lines(simulation: Simulation, scores: Mapping[str, str]) -> Sequence[str]:
    return [
        f"payment {payment}: {verdict}, but {'stolen' if payment in simulation.stolen else 'honest'}"
        for payment, verdict in scores.items()
        if (payment in simulation.stolen, verdict) in ((True, "approve"), (False, "block"))
    ]
