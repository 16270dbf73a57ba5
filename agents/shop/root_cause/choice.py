"""Root cause's choice: which of the open failures led to the error, or none of them.

The event must be the culprit of a failure that is open by the rules (`agents.shop.facts.causes`). It is named no more
surely than the rules are; another than the one they put first is a guess, from which nothing follows but a person's
look. Where the rules are sure of one and a model would blame nothing, or another, the verdict of the rules waits for a
person, and what the model says is published when that person does not agree. Nothing a model says makes money move that
the plan for an open failure would not move.

What the rules would have said of an earlier error is what they go by when they weigh the next one, whatever a model
said of it: that moves a weight, no more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.event import DomainEvent
from agents.model.forms import DOUBTFUL, EventId, Sureness, not_permitted, told, unknown_event
from agents.model.history import History, Past
from agents.platform.events import GUESS_TO, MOST_EVIDENCE, SURE_FROM, ErrorOccurred
from agents.shop.facts.story import Chronicle
from agents.shop.failures import Failure
from agents.shop.root_cause.ranking import Ranker
from agents.shop.root_cause.rules import identified, occurred, root_cause, suspect


class RootCauseChoice(Choice):
    """Name the event that led to the error of the order.

    Only a failure that was still open at the error can have led to it, and each has one event to blame:
    stock_shortage the first InventoryShort, duplicate_capture the PaymentSucceeded that pays again, label_failed the
    last LabelFailed, address_invalid AddressChanged, price_changed PriceChanged. What was made good before the error
    explains nothing, such as a shortage reserved later or an address corrected. Do not trust what the error says of its
    own cause. When no event explains it, answer "unknown" with a null culprit: the service is looked at then.
    """

    culprit_event_id: Annotated[
        EventId | None, Field(description="The id of the event to blame, copied exactly; null with unknown.")
    ]
    failure: Literal[
        "stock_shortage", "duplicate_capture", "label_failed", "address_invalid", "price_changed", "unknown"
    ]
    other_evidence: Annotated[
        tuple[EventId, ...],
        Field(max_length=MOST_EVIDENCE - 2, description="Ids of other events that show it, the clearest first."),
    ]
    confidence: Sureness


@root_cause.model(RootCauseChoice, on=(ErrorOccurred,))
def explain(choice: RootCauseChoice, event: ErrorOccurred, history: History, by_rules: Decision) -> Decision:
    """Name the event a model blames, or ask the service as the rules do."""
    decision = _explained(choice, event, history, by_rules)
    if by_rules.confidence >= SURE_FROM > decision.confidence and choice.culprit_event_id != _named(by_rules):
        reason = told("only if a person agrees", by_rules, choice)
        return replace(by_rules, reason=reason, hold=DOUBTFUL, otherwise=decision.emit)
    return decision


def _named(by_rules: Decision) -> str | None:
    [verdict] = by_rules.emit
    return getattr(verdict, "culprit_event_id", None)


def _explained(choice: RootCauseChoice, event: ErrorOccurred, history: History, by_rules: Decision) -> Decision:
    error = occurred(event, history)
    ranking = Ranker(Chronicle(history)).rank(error)
    failure = Failure(choice.failure)
    if (failure is Failure.UNKNOWN) != (choice.culprit_event_id is None):
        raise not_permitted("unknown goes with no culprit, and every other failure with one")
    if choice.culprit_event_id is None:
        return _suspect(suspect(error, ranking), choice, by_rules)
    culprit = history.named(choice.culprit_event_id)
    if culprit is None:
        raise unknown_event("the culprit is not remembered")
    named = ranking.find(culprit.key)
    if named is None or named.candidate.failure is not failure:
        raise not_permitted("the culprit is not that of an open failure")
    most = min(ranking.confidence_of(named), GUESS_TO if history.is_ambiguous(culprit.id) else 1.0)
    confidence = min(choice.confidence, most)
    verdict = identified(
        error,
        ranking,
        culprit_id=culprit.id,
        failure=failure,
        confidence=confidence,
        evidence=_evidence(choice, culprit, error, history),
        symptoms=named.candidate.symptoms,
    )
    kind = "an open failure" if most >= SURE_FROM else "a guess"
    return Decision(
        outcome=failure.value,
        reason=told(f"event {culprit.id} explains the error, {kind}", by_rules, choice),
        confidence=confidence,
        emit=[verdict],
    )


def _suspect(suspicion: Decision, choice: RootCauseChoice, by_rules: Decision) -> Decision:
    reason = told("nothing in the order explains the error", by_rules, choice)
    return Decision(outcome=suspicion.outcome, reason=reason, confidence=suspicion.confidence, emit=suspicion.emit)


def _evidence(
    choice: RootCauseChoice,
    culprit: Past[DomainEvent],
    error: Past[ErrorOccurred],
    history: History,
) -> tuple[str, ...]:
    """The culprit and the error, then what the model names besides; each id once."""
    ids = dict.fromkeys((culprit.id, error.id))
    itself = history.names()[history.event.key]
    for named in choice.other_evidence:
        past = history.named(named)
        if past is None and named != itself:
            raise unknown_event("an event of the evidence is not remembered")
        ids[past.id if past else error.id] = None
    return tuple(ids)
