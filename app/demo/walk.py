"""Walk: what a log comes to, event by event, as far as it is judged: the simulator's events and those of the agents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from app.simulator import Moment, Outcome, Simulation

Published = Mapping[str, Any]

#: An order that nothing happened to.
ORDINARY: Final = "ordinary"
#: What the sources of all agents begin with.
_AGENTS: Final = "urn:innervate:"
#: A customer who complained so lately is angry, whatever they wrote since. Own choice: a week.
_ANGRY_FOR: Final = timedelta(days=7)


@dataclass(slots=True)
class Done:
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
        is_right = outcome.refund_minor is None or dict(self.refunds) == dict(outcome.refund_minor)
        return is_right and all(wanted is None or wanted == (self.counts[kind] > 0) for kind, wanted in asked.items())

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


class Walk:
    """What the log comes to, event by event."""

    def __init__(self, simulation: Simulation) -> None:
        self.done: dict[str, Done] = defaultdict(Done)
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
        #: How often people were asked about an order, or a service alone, by its id.
        self.asked: Counter[str] = Counter()
        #: Orders the agents stopped when they could not be delivered: whatever is left of their money is owed.
        self._stopped: set[str] = set()
        #: Services a person was told of.
        self.services: set[str] = set()
        self._moods = simulation.moods
        #: When customers complained: place and time.
        self._angry: dict[str, list[tuple[int, datetime]]] = defaultdict(list)
        self._kinds = {case.order_id: case.kind for case in simulation.cases}
        self._currencies = {each.order_id: each.currency for each in simulation.captures}
        self._moments = {m.event_id: (order, m) for order, moments in simulation.moments.items() for m in moments}
        self._accounts: dict[str, list[tuple[int, Moment]]] = defaultdict(list)
        #: Where each event stands, and the event that caused it, by its id.
        self._places: dict[str, int] = {}
        self._times: dict[str, datetime] = {}
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
        self._places[event["id"]], self._times[event["id"]] = place, datetime.fromisoformat(event["time"])
        if event["id"] in self._moments:
            order_id, moment = self._moments[event["id"]]
            self._accounts[order_id].append((place, moment))
        if self._moods.get(event["id"]) == "angry":
            self._angry[event["data"]["customer_id"]].append((place, self._times[event["id"]]))

    def _hear(self, kind: str, data: Mapping[str, Any], event: Published) -> None:
        order_id = data.get("order_id") or ""
        if kind == "EscalationRequested":
            self.escalations += 1
            self.asked[order_id or data["service"]] += 1
            self.services |= {data["service"]} if not order_id else set()
        if kind == "RootCauseIdentified":
            self.named[data["error_event_id"]] = data
        elif kind == "FraudScored":
            self.scores[data["payment_id"]] = data["verdict"]
        elif kind == "ConfirmationRequested":
            self._confirm(data, self._roots[event["id"]])
        elif kind == "RefundIssued":
            self._refund(data, self._roots[event["id"]])
        elif kind == "FulfilmentRequested":
            if not any(
                moment.is_paid for moment in self._since(order_id, self._places.get(self._roots[event["id"]], 0))
            ):
                self.packed[order_id] = f"{order_id}: to be packed, though it is not paid in full"
        elif kind in ("OrderCancelled", "ShipmentRetryRequested", "CustomerNotified", "EscalationRequested"):
            self.done[order_id].counts[kind] += not _is_review(kind, data)
            if kind == "OrderCancelled":
                self._stop(order_id, self._roots[event["id"]])

    def _confirm(self, data: Mapping[str, Any], root: str) -> None:
        paid = self._places.get(root, 0)
        for place, at in self._angry[data["customer_id"]]:
            if data["tone"] == "cheerful" and place < paid and self._times[root] - at <= _ANGRY_FOR:
                self.tones.append(f"{data['order_id']}: cheerful to {data['customer_id']}, who complained at {at}")
                break

    def _refund(self, data: Mapping[str, Any], root: str) -> None:
        order_id, payment_id, minor = data["order_id"], data["payment_id"], data["amount_minor"]
        refunds = self.done[order_id].refunds
        refunds[payment_id] += minor
        self.given_back[data["currency"]] += minor
        moments = self._since(order_id, self._places.get(root, 0))
        owed = max((self._owed(order_id, moment) for moment in moments), default=0)
        left = max((moment.left_minor.get(payment_id, 0) for moment in moments), default=0)
        if (
            sum(refunds.values()) > owed
            or refunds[payment_id] > left
            or data["currency"] != self._currencies.get(order_id)
        ):
            self.over[order_id] = (
                f"{order_id} ({self._kinds.get(order_id, ORDINARY)}): {dict(refunds)} {data['currency']} given back,"
                f" owed {owed} {self._currencies.get(order_id)}: {data['reason']}"
            )

    def _stop(self, order_id: str, root: str) -> None:
        if not all(moment.can_be_delivered for moment in self._since(order_id, self._places.get(root, 0))):
            self._stopped.add(order_id)

    def _owed(self, order_id: str, moment: Moment) -> int:
        return sum(moment.left_minor.values()) if order_id in self._stopped else moment.owed_minor

    def _since(self, order_id: str, place: int) -> Sequence[Moment]:
        """The account as it was at that place, and everything it has become since."""
        account = self._accounts[order_id]
        before = [moment for at, moment in account if at <= place]
        return [*before[-1:], *(moment for at, moment in account if at > place)]


def _is_review(kind: str, data: Mapping[str, Any]) -> bool:
    """Whether a person was only asked to look at a payment, which says nothing of what else happened."""
    return bool(kind == "EscalationRequested" and data["failure"] == "review")
