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
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from app.demo.verdicts import Calibration, Verdicts, judged_verdicts
from app.simulator import Case, Moment, Outcome, Simulation

Published = Mapping[str, Any]

#: What the sources of all agents begin with.
_AGENTS: Final = "urn:innervate:"
#: An order's outcome was right by itself, left to a person although it need not be, or neither.
RIGHT, LEFT, WRONG = "right", "left_to_people", "wrong"
#: An order that nothing happened to.
ORDINARY: Final = "ordinary"
#: A customer who complained so lately is angry, whatever they wrote since. Own choice: a week.
_ANGRY_FOR: Final = timedelta(days=7)


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
    #: How often a person was asked.
    escalations: int
    #: Every wrong case, for a person.
    wrong: Sequence[str]

    @property
    def calibration(self) -> Mapping[str, Calibration]:
        """What verdicts claimed against how many were right."""
        return self.verdicts.calibration


@dataclass(slots=True)
class _Done:
    """What became of one order."""

    refunds: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def fits(self, outcome: Outcome) -> bool:
        """Whether it is this outcome."""
        asked = {
            "OrderCancelled": outcome.cancelled,
            "ShipmentRetryRequested": outcome.retried,
            "CustomerNotified": outcome.notified,
            "EscalationRequested": outcome.escalated,
        }
        return dict(self.refunds) == dict(outcome.refund_minor) and all(
            wanted is None or wanted == (self.counts[kind] > 0) for kind, wanted in asked.items()
        )

    def leaves(self, outcome: Outcome) -> bool:
        """Whether nothing moved, nothing was done that this outcome rules out, and a person heard."""
        did_too_much = (outcome.notified is False and self.counts["CustomerNotified"]) or (
            outcome.retried is False and self.counts["ShipmentRetryRequested"]
        )
        return self.is_untouched and not did_too_much and self.counts["EscalationRequested"] > 0

    @property
    def is_untouched(self) -> bool:
        """Whether no money moved and nothing was stopped."""
        return not self.refunds and not self.counts["OrderCancelled"]

    def __str__(self) -> str:
        told = [f"{payment} {minor}" for payment, minor in self.refunds.items()]
        return ", ".join([*told, *(f"{kind} x{count}" for kind, count in self.counts.items())]) or "nothing"


def judge(simulation: Simulation, log: Iterable[Published]) -> Judgment:
    """Judge what the agents said by what is true."""
    walk = _Walk(simulation)
    for event in log:
        walk.take(event)
    verdicts = judged_verdicts(simulation.truth, walk.named)
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
        wrong=[
            *walk.over.values(),
            *verdicts.wrong,
            *wrong,
            *_fraud_lines(simulation, walk.scores),
            *walk.tones,
            *walk.packed.values(),
        ],
    )


class _Walk:
    """What the log comes to, event by event."""

    def __init__(self, simulation: Simulation) -> None:
        self.done: dict[str, _Done] = defaultdict(_Done)
        #: The last verdict on each error.
        self.named: dict[str, Published] = {}
        #: The last verdict on each payment.
        self.scores: dict[str, str] = {}
        self.given_back: Counter[str] = Counter()
        #: What is wrong with the money of an order, by its id.
        self.over: dict[str, str] = {}
        self.tones: list[str] = []
        #: The same of orders packed too early.
        self.packed: dict[str, str] = {}
        self.escalations = 0
        #: Services a person was told of.
        self.services: set[str] = set()
        self._moods = simulation.moods
        self._angry_at: dict[str, datetime] = {}
        self._currencies = {each.order_id: each.currency for each in simulation.captures}
        self._moments = {m.event_id: (order, m) for order, moments in simulation.moments.items() for m in moments}
        self._accounts: dict[str, list[tuple[int, Moment]]] = defaultdict(list)
        #: Where each event stands, and the event that caused it, by its id.
        self._places: dict[str, int] = {}
        self._roots: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()

    def take(self, event: Published) -> None:
        """The next event of the log; a copy changes nothing."""
        key = event["source"], event["id"]
        if key in self._seen:
            return
        self._seen.add(key)
        if event["source"].startswith(_AGENTS):
            cause = event.get("causationid") or ""
            self._roots[event["id"]] = self._roots.get(cause, cause)
            self._hear(event["type"], event["data"], event)
            return
        place = len(self._seen)
        self._places[event["id"]] = place
        if event["id"] in self._moments:
            order_id, moment = self._moments[event["id"]]
            self._accounts[order_id].append((place, moment))
        if self._moods.get(event["id"]) == "angry":
            self._angry_at[event["data"]["customer_id"]] = datetime.fromisoformat(event["time"])

    def _hear(self, kind: str, data: Mapping[str, Any], event: Published) -> None:
        order_id = data.get("order_id") or ""
        if kind == "EscalationRequested":
            self.escalations += 1
            self.services |= {data["service"]} if not order_id else set()
        if kind == "RootCauseIdentified":
            self.named[data["error_event_id"]] = data
        elif kind == "FraudScored":
            self.scores[data["payment_id"]] = data["verdict"]
        elif kind == "ConfirmationRequested":
            self._confirm(data, event)
        elif kind == "RefundIssued":
            self._refund(data, self._roots[event["id"]])
        elif kind == "FulfilmentRequested":
            if not any(
                moment.is_paid for moment in self._since(order_id, self._places.get(self._roots[event["id"]], 0))
            ):
                self.packed[order_id] = f"{order_id}: to be packed, though it is not paid in full"
        elif kind in ("OrderCancelled", "ShipmentRetryRequested", "CustomerNotified", "EscalationRequested"):
            self.done[order_id].counts[kind] += 1

    def _confirm(self, data: Mapping[str, Any], event: Published) -> None:
        angry_at = self._angry_at.get(data["customer_id"])
        at = datetime.fromisoformat(event["time"])
        if data["tone"] == "cheerful" and angry_at is not None and at - angry_at <= _ANGRY_FOR:
            self.tones.append(f"{data['order_id']}: cheerful to {data['customer_id']}, angry since {angry_at}")

    def _refund(self, data: Mapping[str, Any], root: str) -> None:
        order_id, payment_id, minor = data["order_id"], data["payment_id"], data["amount_minor"]
        refunds = self.done[order_id].refunds
        refunds[payment_id] += minor
        self.given_back[data["currency"]] += minor
        moments = self._since(order_id, self._places.get(root, 0))
        owed = max((moment.owed_minor for moment in moments), default=0)
        left = max((moment.left_minor.get(payment_id, 0) for moment in moments), default=0)
        if (
            sum(refunds.values()) > owed
            or refunds[payment_id] > left
            or data["currency"] != self._currencies.get(order_id)
        ):
            self.over[order_id] = (
                f"{order_id}: {dict(refunds)} {data['currency']} given back,"
                f" owed {owed} {self._currencies.get(order_id)}: {data['reason']}"
            )

    def _since(self, order_id: str, place: int) -> Sequence[Moment]:
        """The account as it was at that place, and everything it has become since."""
        account = self._accounts[order_id]
        before = [moment for at, moment in account if at <= place]
        return [*before[-1:], *(moment for at, moment in account if at > place)]


def _recoveries(
    simulation: Simulation, walk: _Walk
) -> tuple[Mapping[str, Mapping[str, int]], float, int, Sequence[str]]:
    """How the orders came out by kind, the share by itself, how many nobody heard of, and what is wrong."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    unescalated = clear = alone = 0
    wrong = []
    for case in simulation.cases:
        done = walk.done[case.order_id]
        if case.service in walk.services:
            done.counts["EscalationRequested"] += 1
        grade = _grade(case, done)
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


def _grade(case: Case, done: _Done) -> str:
    if case.most_escalations is not None and done.counts["EscalationRequested"] > case.most_escalations:
        return WRONG
    if any(done.fits(outcome) for outcome in case.outcomes):
        return RIGHT
    return LEFT if any(done.leaves(outcome) for outcome in case.outcomes) else WRONG


def _told(outcome: Outcome) -> str:
    names = [name for name in ("cancelled", "retried", "notified", "escalated") if getattr(outcome, name)]
    return ", ".join([*(f"{payment} {minor}" for payment, minor in outcome.refund_minor.items()), *names]) or "nothing"


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
