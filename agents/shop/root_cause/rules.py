"""Root cause: names the event that led to an error of an order, or hands the error to the service's timeline.

The verdict rests on what happened before the error: what is still open (`agents.shop.facts.causes`), whether the
error's chain of causes leads to it, and how near it is (`agents.shop.root_cause.ranking`). What the error says about
itself is not read. An error that nothing explained is looked at again when its verdict `unknown`, or a guess at a
change of the service, comes by: its cause may have reached the timeline behind it. It fails by being unsure: rivals
close together get a low confidence, which whoever recovers must mind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History, Past, past_of
from agents.platform.events import (
    GUESS_TO,
    MOST_EVIDENCE,
    SURE_FROM,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
)
from agents.shop.entities import order
from agents.shop.events import SHOP_EVENTS
from agents.shop.facts.causes import Candidate
from agents.shop.failures import Failure
from agents.shop.root_cause.ranking import Ranked, Ranking, rank
from tables.window import WindowSpec

root_cause = Agent(
    name="root_cause",
    entity=order,
    reacts_to=(ErrorOccurred, RootCauseIdentified),
    remembers=(
        *(kind for kind in SHOP_EVENTS if order in kind.about),
        ErrorOccurred,
        RootCauseIdentified,
        RootCauseSuspected,
        EscalationRequested,
    ),
    window=WindowSpec(events=50, age=timedelta(days=90)),
)

#: How sure it is that nothing in the order's own past explains the error differently.
SUSPECTED: Final = 0.1

#: The outcome when the service is asked.
SUSPECT: Final = "suspected"

#: What is said of a service's change while it is a guess (only a language model guesses) does not stop a second look.
_OF_A_SERVICE: Final = frozenset({Failure.BAD_DEPLOYMENT, Failure.BAD_CONFIGURATION})


@root_cause.rules
def explain(event: ErrorOccurred | RootCauseIdentified, history: History) -> Decision:
    """Name the likeliest open candidate, or suspect the service when there is none."""
    if isinstance(event, RootCauseIdentified):
        return _look_again(event, history)
    error = occurred(event, history)
    ranking = rank(error, history)
    return _identify(error, ranking, history) if ranking.ranked else suspect(error, ranking)


def occurred(error: ErrorOccurred, history: History) -> Past[ErrorOccurred]:
    """The error decided on, with its envelope."""
    return past_of(history.event, error)


def _look_again(verdict: RootCauseIdentified, history: History) -> Decision:
    """Explain an error that nobody could explain so far, with what has arrived since."""
    errors = [error for error in history.of(ErrorOccurred) if error.id == verdict.error_event_id]
    if not (_is_open(verdict) and errors):
        return Decision(outcome="explained", reason="the error has a culprit, or is not remembered")
    if history.is_ambiguous(verdict.error_event_id):
        return Decision(outcome="still_unknown", reason="several sources have an event with the id of the error")
    error = errors[0]
    ranking = rank(error, history)
    if not ranking.ranked:
        return Decision(outcome="still_unknown", reason="nothing has arrived since that explains the error")
    if _was_passed_over(ranking.ranked[0], error, history):
        return Decision(outcome="still_unknown", reason="what explains the error was known, and was not believed")
    return _identify(error, ranking, history)


def _is_open(verdict: RootCauseIdentified) -> bool:
    is_guess = verdict.failure in _OF_A_SERVICE and verdict.confidence < SURE_FROM
    return verdict.failure == Failure.UNKNOWN or is_guess


def _was_passed_over(likeliest: Ranked, error: Past[ErrorOccurred], history: History) -> bool:
    """Whether it was open when the error was first decided on: the rules name what is, a language model may not."""
    place = next(place for place, entry in enumerate(history.entries) if entry.is_of(error.id, error.source))
    return rank(error, history.before(place)).find(likeliest.candidate.culprit.key) is not None


def _identify(error: Past[ErrorOccurred], ranking: Ranking, history: History) -> Decision:
    first = ranking.ranked[0]
    candidate, culprit = first.candidate, first.candidate.culprit
    # A verdict names its culprit by the id alone; where that could mean another event, only a person acts on it.
    is_ambiguous = history.is_ambiguous(culprit.id)
    confidence = min(ranking.confidence, GUESS_TO) if is_ambiguous else ranking.confidence
    verdict = identified(
        error,
        culprit_id=culprit.id,
        failure=candidate.failure,
        confidence=confidence,
        evidence=tuple(_evidence(error, candidate)),
        alternatives=ranking.alternatives(culprit.id, *(symptom.id for symptom in candidate.symptoms)),
    )
    rivals = len(ranking.ranked)
    how = "in the error's chain of causes" if first.linked else "the nearest" if rivals > 1 else "the only one"
    return Decision(
        outcome=candidate.failure.value,
        reason=f"event {culprit.id} explains the error; open failures: {rivals}, this one is {how}"
        + (", but its id is that of other events too" if is_ambiguous else ""),
        confidence=confidence,
        emit=[verdict],
    )


def identified(
    error: Past[ErrorOccurred],
    *,
    culprit_id: str,
    failure: Failure,
    confidence: float,
    evidence: tuple[str, ...],
    alternatives: tuple[str, ...],
) -> RootCauseIdentified:
    """The verdict on an error that an event of its order led to."""
    return RootCauseIdentified(
        service=error.data.service,
        error_event_id=error.id,
        culprit_event_id=culprit_id,
        failure=failure.value,
        confidence=confidence,
        evidence=evidence,
        alternatives=alternatives,
        **error.data.carried,
    )


def _evidence(error: Past[ErrorOccurred], candidate: Candidate) -> Iterator[str]:
    yield candidate.culprit.id
    yield error.id
    others: Sequence[str] = [each.id for each in (*candidate.context, *candidate.symptoms, *candidate.repeats)]
    yield from others[: MOST_EVIDENCE - 2]


def suspect(error: Past[ErrorOccurred], ranking: Ranking) -> Decision:
    """Ask the service; what is open in the order all the same comes first among the alternatives."""
    suspicion = RootCauseSuspected(
        service=error.data.service,
        error_event_id=error.id,
        culprit_event_id=None,
        failure=Failure.UNKNOWN.value,
        confidence=SUSPECTED,
        evidence=(error.id,),
        alternatives=ranking.alternatives(),
        **error.data.carried,
    )
    return Decision(
        outcome=SUSPECT,
        reason="nothing open in the order explains the error; its service may know",
        confidence=SUSPECTED,
        emit=[suspicion],
    )
