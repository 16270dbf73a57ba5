"""Truth: what really happened, and what a good recovery would do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from app.simulator.people import Temperament
from app.simulator.records import Produced

#: Failures a person has to look at; nothing is undone.
_FOR_PEOPLE: Final = frozenset({"unknown"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """Money that was taken."""

    payment_id: str
    order_id: str
    amount_minor: int
    currency: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What recovery must do: all of this, each once, and nothing else."""

    #: What goes back, in minor units, by payment.
    refund_minor: Mapping[str, int] = field(default_factory=dict)
    cancelled: bool = False
    retried: bool = False
    notified: bool = False
    escalated: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """Why one error happened."""

    error_event_id: str
    order_id: str
    #: The name of the failure, as in `RootCauseIdentified`.
    failure: str
    #: None when nothing explains the error.
    culprit_event_id: str | None
    #: By what is known at the error.
    plan: Plan
    #: What had been taken for the order before the error, oldest first.
    captures: tuple[Capture, ...]
    #: What the customer owes for the order: its items at the prices valid at the first capture.
    owed_minor: int
    #: Other verdicts that are as right: failure and culprit.
    also: frozenset[tuple[str, str | None]] = frozenset()
    #: Whether it repeats an error that was told before, so that it needs no verdict of its own.
    repeats: bool = False

    def is_told_by(self, failure: str, culprit_event_id: str | None) -> bool:
        """Whether a verdict is right. That nothing explains an error may be said in two ways."""
        named = ("unknown" if failure == "inconclusive" else failure, culprit_event_id)
        return named == (self.failure, self.culprit_event_id) or named in self.also


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """An order's money after one event of the shop, by its own books; amounts in minor units of the order's currency.

    What the agents give back is not in these books.
    """

    event_id: str
    #: What was captured and neither given back by anyone else nor covered by what can still be delivered.
    owed_minor: int
    #: What of each payment nobody else gave back.
    left_minor: Mapping[str, int]
    #: Whether the order is paid in full, and wanted.
    is_paid: bool = False
    can_be_delivered: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What may have become of an order when all is done. None: both are fine."""

    #: What went back, in minor units, by payment: exactly this. None: whatever is owed.
    refund_minor: Mapping[str, int] | None = field(default_factory=dict)
    cancelled: bool | None = False
    retried: bool | None = False
    notified: bool | None = None
    escalated: bool | None = None


#: The kind of the orders that one deployment hits, many at once.
WAVE: Final = "wave"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An order that something happened to, and how a careful team would leave it."""

    order_id: str
    #: What happened, for a count by kind.
    kind: str
    #: Any of these is right.
    outcomes: Sequence[Outcome]
    #: People are told so often at most.
    most_escalations: int | None = None
    #: A service of which a person may hear in place of the order.
    service: str | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether a person must hear, whatever else is done."""
        return all(outcome.escalated for outcome in self.outcomes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """A story and the truth about it."""

    #: In order of `at`.
    records: Sequence[Produced]
    #: One for each error, in the order of the errors.
    truth: Sequence[Truth]
    #: Every capture of every order, in order of `at`.
    captures: Sequence[Capture]
    #: How many records are no events and have to become dead letters.
    broken: int
    #: Every order to which something happened.
    cases: Sequence[Case]
    #: The money of every order, by its id, in the order told.
    moments: Mapping[str, Sequence[Moment]]
    #: Payments made with a stolen card or account that can be told by what came before, by their ids.
    stolen: frozenset[str]
    #: How the customer felt who wrote, by the id of the event.
    moods: Mapping[str, Temperament]
    #: Orders whose case, and not the plan for a failure, says how they may be left.
    unusual: frozenset[str] = frozenset()


#: What must be done about the failures that leave the money where it is; about others, people have to look.
_WITHOUT_MONEY: Final[Mapping[str, Plan]] = {
    "label_failed": Plan(retried=True),
    "address_invalid": Plan(notified=True),
    # People hear of the service, once for all its orders.
    "bad_deployment": Plan(),
    "bad_configuration": Plan(),
}


def plan_for(
    failure: str,
    captures: Sequence[Capture],
    owed_minor: int,
    refunded_minor: Mapping[str, int] | None = None,
) -> Plan:
    """What recovery must do about an order that is said to suffer from `failure`.

    `captures` are the order's, oldest first; `refunded_minor` is what went back before, by payment, and is not given
    back again. A failure the order cannot have (a second capture where there is one) leaves nothing to undo:
    it is for people. Amounts are in minor units.
    """
    left = {each.payment_id: each.amount_minor - (refunded_minor or {}).get(each.payment_id, 0) for each in captures}
    if failure == "stock_shortage":
        return Plan(refund_minor=_positive(left), cancelled=True, notified=True)
    if failure == "duplicate_capture" and len(captures) > 1:
        later = captures[-1].payment_id
        return Plan(refund_minor=_positive({later: left[later]}), notified=True)
    if failure == "price_changed":
        refund = {each.payment_id: min(each.amount_minor - owed_minor, left[each.payment_id]) for each in captures[:1]}
        excess = _positive(refund)
        return Plan(refund_minor=excess, escalated=not excess, notified=bool(excess))
    return _WITHOUT_MONEY.get(failure, Plan(escalated=True))


def case_of(order_id: str, kind: str, plans: Sequence[Plan], service: str | None = None) -> Case:
    """The case of an order with failures that have these plans; people may hear of the service instead, if any."""
    refund: Counter[str] = Counter()
    for plan in plans:
        refund.update(plan.refund_minor)
    outcome = Outcome(
        refund_minor=dict(refund),
        cancelled=any(plan.cancelled for plan in plans),
        retried=any(plan.retried for plan in plans),
        notified=any(plan.notified for plan in plans) or None,
        # Of a service somebody must hear, whatever becomes of the order.
        escalated=service is not None or any(plan.escalated for plan in plans) or None,
    )
    return Case(order_id=order_id, kind=kind, outcomes=(outcome,), service=service)


def is_for_people(failure: str) -> bool:
    """Whether the failure is only escalated, so that each verdict on it may escalate anew."""
    return failure in _FOR_PEOPLE


def _positive(amounts: Mapping[str, int]) -> dict[str, int]:
    return {payment_id: amount for payment_id, amount in amounts.items() if amount > 0}
