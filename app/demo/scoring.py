"""Scoring: compares what the agents published with what the simulator knows to be true.

Pure: whoever calls it has read Kafka itself. Copies of a message (same source and id) count once. What belongs to a
verdict is found by `causationid`; compensation that belongs to none is a mistake as well. A verdict is measured by the
failure it names, not by the true one: recovery can only be as good as what it is told. It fails with KeyError when an
event lacks a field of its type.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from app.simulator.truth import Capture, Plan, Truth, is_for_people, plan_for

Published = Mapping[str, Any]

#: Compensations and the field of a `Plan` that asks for each.
_FLAGS: Final = {
    "OrderCancelled": "cancelled",
    "ShipmentRetryRequested": "retried",
    "CustomerNotified": "notified",
    "EscalationRequested": "escalated",
}
#: What nobody may do to an order that did not fail.
_GRAVE: Final = frozenset({"RefundIssued", "OrderCancelled"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """An error whose cause was not found, or not rightly; `named` is None where there was no verdict at all."""

    error_event_id: str
    failure: str
    named_failure: str | None
    culprit_event_id: str | None
    named_culprit_event_id: str | None

    def __str__(self) -> str:
        return (
            f"{self.error_event_id}: {self.failure} by {self.culprit_event_id or 'nothing'},"
            f" named {self.named_failure or 'nothing'} by {self.named_culprit_event_id or 'nothing'}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """How good the agents were. Shares run from 0 to 1 and are rounded to four digits, downwards below 1."""

    #: Errors with the right failure and the right culprit in their last verdict.
    root_cause_top1: float
    #: Errors whose culprit is the named one or among the first two alternatives.
    root_cause_top3: float
    #: Verdicts whose compensations are exactly those of the plan; stray compensations count as wrong ones.
    recovery_correct: float
    #: Whether every refund is booked in full, and nothing else is booked as one.
    ledger_balanced: bool
    #: Payments, and orders, that got back more than was taken.
    refunds_over_captures: int
    #: What was wrong, for a person.
    mistakes: Sequence[Mistake]
    recovery_mistakes: Sequence[str]
    money_mistakes: Sequence[str]


def score(
    *,
    truth: Sequence[Truth],
    captures: Sequence[Capture],
    published: Sequence[Published],
    unusual: AbstractSet[str] = frozenset(),
) -> Score:
    """Score the events of the agents, parsed CloudEvents in the order read (per order, at least).

    `truth` and `captures` are those of the simulation. Orders with a payment judged `block` are refunded in full by
    design: their compensations are not scored, nor are those of `unusual` orders, which have cases of their own
    (`app.demo.judgment`). Without anything to score a share is 1.
    """
    events = _without_copies(published)
    last = {
        event["data"]["error_event_id"]: event["data"] for event in events if event["type"] == "RootCauseIdentified"
    }
    verdicts = [(each, last.get(each.error_event_id)) for each in truth]
    units, recovery_mistakes = _recoveries(truth, events, unusual)
    unbooked = _ledger_mistakes(events)
    over = _over_captures(captures, events)
    return Score(
        root_cause_top1=_share(sum(_is_right(each, verdict) for each, verdict in verdicts), len(truth)),
        root_cause_top3=_share(sum(_is_close(each, verdict) for each, verdict in verdicts), len(truth)),
        recovery_correct=_share(units - len(recovery_mistakes), units),
        ledger_balanced=not unbooked,
        refunds_over_captures=len(over),
        mistakes=[_mistake(each, verdict) for each, verdict in verdicts if not _is_right(each, verdict)],
        recovery_mistakes=recovery_mistakes,
        money_mistakes=[*unbooked, *over],
    )


def _without_copies(published: Iterable[Published]) -> list[Published]:
    first: dict[tuple[str, str], Published] = {}
    for event in published:
        first.setdefault((event["source"], event["id"]), event)
    return list(first.values())


def _share(good: int, total: int) -> float:
    """Cut off, not rounded: 1.0 means all of them."""
    return good * 10_000 // total / 10_000 if total else 1.0


def _is_right(truth: Truth, verdict: Published | None) -> bool:
    return verdict is not None and truth.is_told_by(verdict["failure"], verdict["culprit_event_id"])


def _is_close(truth: Truth, verdict: Published | None) -> bool:
    if verdict is None or truth.culprit_event_id is None:
        return _is_right(truth, verdict)
    return truth.culprit_event_id in (verdict["culprit_event_id"], *verdict["alternatives"][:2])


def _mistake(truth: Truth, verdict: Published | None) -> Mistake:
    return Mistake(
        error_event_id=truth.error_event_id,
        failure=truth.failure,
        named_failure=verdict["failure"] if verdict else None,
        culprit_event_id=truth.culprit_event_id,
        named_culprit_event_id=verdict["culprit_event_id"] if verdict else None,
    )


def _recoveries(
    truth: Sequence[Truth], events: Sequence[Published], unusual: AbstractSet[str]
) -> tuple[int, list[str]]:
    """Count the verdicts and the stray compensations of all orders, and tell what is wrong: one line for each."""
    truths = {each.error_event_id: each for each in truth}
    failed = {each.order_id for each in truth}
    blocked = {event["data"]["order_id"] for event in events if _is_block(event)} | unusual
    verdicts = [
        event
        for event in events
        if event["type"] == "RootCauseIdentified"
        and event["data"]["error_event_id"] in truths
        and truths[event["data"]["error_event_id"]].order_id not in blocked
    ]
    followed = {verdict["id"] for verdict in verdicts}
    compensations: dict[str, list[Published]] = defaultdict(list)
    mistakes = []
    for event in events:
        order_id = event["data"].get("order_id")
        if not _is_compensation(event) or order_id in blocked:
            continue
        cause = event.get("causationid")
        if cause is not None and cause in followed:
            compensations[cause].append(event)
        elif order_id in failed or event["type"] in _GRAVE:
            mistakes.append(f"{order_id}: {event['type']} {event['id']} belongs to no verdict on a failure")
    units = len(verdicts) + len(mistakes)
    return units, mistakes + _wrong_recoveries(verdicts, truths, compensations)


def _wrong_recoveries(
    verdicts: Sequence[Published], truths: Mapping[str, Truth], compensations: Mapping[str, Sequence[Published]]
) -> list[str]:
    """Compare the compensations of each verdict, in order, with its plan; what was recovered before is not again."""
    recovered: set[tuple[str, str, str | None]] = set()
    refunded: dict[str, Counter[str]] = defaultdict(Counter)
    #: Orders a person was told of.
    heard: set[str] = set()
    wrong = []
    for verdict in verdicts:
        data = verdict["data"]
        truth = truths[data["error_event_id"]]
        failure = (truth.order_id, data["failure"], data["culprit_event_id"])
        if failure in recovered:
            plan = Plan()
        else:
            plan = plan_for(data["failure"], truth.captures, truth.owed_minor, refunded[truth.order_id])
        recovered.add(failure)
        expected = _as_done(plan)
        done = _done(truth.order_id, compensations.get(verdict["id"], ()))
        if truth.order_id in heard and is_for_people(data["failure"]):
            # Those who heard of the order before may hear again, and need not.
            expected.pop("EscalationRequested", None)
            done.pop("EscalationRequested", None)
        if done["EscalationRequested"]:
            heard.add(truth.order_id)
        if +done != +expected:
            wrong.append(f"{data['error_event_id']} ({data['failure']}): {_shown(done)}, expected {_shown(expected)}")
        refunded[truth.order_id].update({name: amount for name, amount in done.items() if name not in _FLAGS})
    return wrong


def _as_done(plan: Plan) -> Counter[str]:
    """How often each compensation is due, and how much goes back for each payment (by its id)."""
    return Counter(plan.refund_minor) + Counter({kind: int(getattr(plan, flag)) for kind, flag in _FLAGS.items()})


def _done(order_id: str, events: Iterable[Published]) -> Counter[str]:
    """The same of what was published; what was done to another order is no payment and no kind of this one."""
    done: Counter[str] = Counter()
    for event in events:
        data = event["data"]
        if data.get("order_id") != order_id:
            done[f"{event['type']} of {data.get('order_id')}"] += 1
        elif event["type"] == "RefundIssued":
            done[data["payment_id"]] += data["amount_minor"]
        else:
            done[event["type"]] += 1
    return done


def _shown(done: Counter[str]) -> str:
    return ", ".join(f"{name} x{count}" if name in _FLAGS else f"{name} {count}" for name, count in done.items()) or "-"


def _is_compensation(event: Published) -> bool:
    return event["type"] == "RefundIssued" or event["type"] in _FLAGS


def _is_block(event: Published) -> bool:
    return bool(event["type"] == "FraudScored" and event["data"]["verdict"] == "block")


def _ledger_mistakes(events: Sequence[Published]) -> list[str]:
    """Refunds whose entries do not move their amount, in their currency, from some accounts to others."""
    entries: dict[str, list[Published]] = defaultdict(list)
    for event in events:
        if event["type"] == "LedgerEntryPosted" and event["data"].get("refund_id"):
            entries[event["data"]["refund_id"]].append(event["data"])
    refunds = {event["data"]["refund_id"]: event["data"] for event in events if event["type"] == "RefundIssued"}
    mistakes = [f"{refund_id}: booked, but not issued" for refund_id in entries if refund_id not in refunds]
    for refund_id, refund in refunds.items():
        booked = _moved(entries[refund_id])
        if booked != {refund["currency"]: refund["amount_minor"]}:
            mistakes.append(f"{refund_id}: {refund['amount_minor']} {refund['currency']} issued, booked {booked}")
    return mistakes


def _moved(entries: Iterable[Published]) -> dict[str, int]:
    """What arrived, by currency, on the accounts that gained; amounts that only passed through count once."""
    balances: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        balances[entry["currency"], entry["debit"]] += entry["amount_minor"]
        balances[entry["currency"], entry["credit"]] -= entry["amount_minor"]
    moved: Counter[str] = Counter()
    for (currency, _), balance in balances.items():
        moved[currency] += max(0, balance)
    return dict(moved)


def _over_captures(captures: Sequence[Capture], events: Sequence[Published]) -> list[str]:
    """Payments and orders that got back more than was taken, by currency."""
    left: Counter[str] = Counter()
    for each in captures:
        left[f"payment {each.payment_id} in {each.currency}"] += each.amount_minor
        left[f"order {each.order_id} in {each.currency}"] += each.amount_minor
    for event in events:
        if event["type"] == "RefundIssued":
            data = event["data"]
            left[f"payment {data['payment_id']} in {data['currency']}"] -= data["amount_minor"]
            left[f"order {data['order_id']} in {data['currency']}"] -= data["amount_minor"]
    return [f"{name}: {-amount} more refunded than captured" for name, amount in left.items() if amount < 0]
