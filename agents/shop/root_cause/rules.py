"""Root cause: names the event that led to an error of an order, or hands the error to the service's timeline.

The verdict rests on what happened before the error: what is still open (`agents.shop.facts.causes`), whether the
error's chain of causes leads to it, and how near it is (`agents.shop.root_cause.ranking`). What the error says about
itself is not read. Where several failures are open and none stands out, or what caused the error is not remembered, the
verdict is `inconclusive`: it says what is missing, and a person looks. An error is looked at again when what may be its
cause arrives behind it (`agents.shop.root_cause.late`), or when its verdict `unknown`, or a guess at a change of the
service, comes by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.event import DomainEvent
from agents.model.history import History, Past, Trace, past_of
from agents.platform.events import (
    GUESS_TO,
    MOST_EVIDENCE,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
)
from agents.shop.entities import order
from agents.shop.events import SHOP_EVENTS
from agents.shop.facts.causes import Candidate
from agents.shop.facts.story import Chronicle
from agents.shop.failures import CULPRITS, Failure
from agents.shop.root_cause.late import explained_by, is_open
from agents.shop.root_cause.ranking import Ranked, Ranker, Ranking
from tables.window import WindowSpec

root_cause = Agent(
    name="root_cause",
    version="1",
    entity=order,
    reacts_to=(ErrorOccurred, RootCauseIdentified, *CULPRITS.values()),
    remembers=(
        *(kind for kind in SHOP_EVENTS if order in kind.about),
        ErrorOccurred,
        RootCauseIdentified,
        RootCauseSuspected,
        EscalationRequested,
    ),
    window=WindowSpec(events=50, age=timedelta(days=90)),
    # What fails again and again, and what is said of it, cannot push out what happened to the order.
    slots={(ErrorOccurred, RootCauseIdentified, RootCauseSuspected, EscalationRequested): 50},
)

#: How sure it is that nothing in the order's own past explains the error differently.
SUSPECTED: Final = 0.1

#: The outcome when the service is asked.
SUSPECT: Final = "suspected"


@root_cause.rules
def explain(event: DomainEvent, history: History) -> Decision:
    """Name the likeliest open candidate, or suspect the service when there is none."""
    if isinstance(event, RootCauseIdentified):
        return _look_again(event, history)
    if isinstance(event, ErrorOccurred):
        error = occurred(event, history)
        return answer(error, Ranker(Chronicle(history)).rank(error))
    revised = [answer(error, ranking) for error, ranking in explained_by(event, history)]
    if not revised:
        return Decision(outcome="nothing_to_explain", reason="no error before it is explained otherwise by it")
    return Decision(
        outcome=revised[0].outcome,
        reason=f"errors explained by what arrived behind them: {len(revised)}; {revised[0].reason}",
        confidence=min(each.confidence for each in revised),
        emit=[verdict for each in revised for verdict in each.emit],
    )


def occurred(error: ErrorOccurred, history: History) -> Past[ErrorOccurred]:
    """The error decided on, with its envelope."""
    return past_of(history.event, error)


def _look_again(verdict: RootCauseIdentified, history: History) -> Decision:
    """Explain an error that nobody could explain so far, with what has arrived since."""
    errors = [error for error in history.of(ErrorOccurred) if error.id == verdict.error_event_id]
    if not (is_open(verdict) and errors):
        return Decision(outcome="explained", reason="the error has a culprit, or is not remembered")
    if history.is_ambiguous(verdict.error_event_id):
        return Decision(outcome="still_unknown", reason="several sources have an event with the id of the error")
    error = errors[0]
    ranking = Ranker(Chronicle(history)).rank(error)
    if not ranking.ranked:
        return Decision(outcome="still_unknown", reason="nothing has arrived since that explains the error")
    if _was_passed_over(ranking.ranked[0], error, history):
        return Decision(outcome="still_unknown", reason="what explains the error was known, and was not believed")
    return answer(error, ranking)


def _was_passed_over(likeliest: Ranked, error: Past[ErrorOccurred], history: History) -> bool:
    """Whether it was open when the error was first decided on: the rules name what is, a language model may not."""
    place = next(place for place, entry in enumerate(history.entries) if entry.is_of(error.id, error.source))
    then = Ranker(Chronicle(history.before(place))).rank(error)
    return then.find(likeliest.candidate.culprit.key) is not None


def answer(error: Past[ErrorOccurred], ranking: Ranking) -> Decision:
    """The verdict that a ranking comes to."""
    if not ranking.ranked:
        return suspect(error, ranking)
    if ranking.named is None:
        return _inconclusive(error, ranking)
    return _identify(error, ranking, ranking.named)


def _identify(error: Past[ErrorOccurred], ranking: Ranking, first: Ranked) -> Decision:
    candidate, culprit = first.candidate, first.candidate.culprit
    # A verdict names its culprit by the id alone; where that could mean another event, only a person acts on it.
    is_ambiguous = ranking.is_ambiguous(culprit.id)
    confidence = min(ranking.confidence, GUESS_TO) if is_ambiguous else ranking.confidence
    verdict = identified(
        error,
        ranking,
        culprit_id=culprit.id,
        failure=candidate.failure,
        confidence=confidence,
        evidence=tuple(_evidence(error, candidate)),
        symptoms=candidate.symptoms,
    )
    rivals = len(ranking.ranked)
    how = "in the error's chain of causes" if first.linked else "the nearest" if rivals > 1 else "the only one"
    return Decision(
        outcome=candidate.failure.value,
        reason=f"event {culprit.id} explains the error; open failures: {rivals}, this one is {how}"
        + (", but its id is that of other events too" if is_ambiguous else "")
        + _still_missing(ranking),
        confidence=confidence,
        emit=[verdict],
    )


def _inconclusive(error: Past[ErrorOccurred], ranking: Ranking) -> Decision:
    """Several failures could have led to the error, or none of those that are open did: a person looks."""
    rivals = [each.candidate.culprit.id for each in ranking.rivals]
    verdict = identified(
        error,
        ranking,
        culprit_id=None,
        failure=Failure.INCONCLUSIVE,
        confidence=ranking.confidence,
        evidence=(*rivals[: MOST_EVIDENCE - 1], error.id),
    )
    return Decision(
        outcome=Failure.INCONCLUSIVE.value,
        reason=f"open failures: {len(ranking.ranked)}, and none of them can be said to explain the error"
        + _still_missing(ranking),
        confidence=ranking.confidence,
        emit=[verdict],
    )


def _still_missing(ranking: Ranking) -> str:
    return f"; missing: {'; '.join(ranking.missing)}" if ranking.missing else ""


def identified(
    error: Past[ErrorOccurred],
    ranking: Ranking,
    *,
    culprit_id: str | None,
    failure: Failure,
    confidence: float,
    evidence: tuple[str, ...],
    symptoms: Sequence[Trace] = (),
) -> RootCauseIdentified:
    """The verdict on an error that an event of its order led to, or several could have."""
    named = [each for each in (culprit_id, *(symptom.id for symptom in symptoms)) if each is not None]
    return RootCauseIdentified(
        service=error.data.service,
        error_event_id=error.id,
        culprit_event_id=culprit_id,
        failure=failure.value,
        confidence=confidence,
        evidence=evidence,
        alternatives=ranking.alternatives(*named),
        missing=ranking.missing,
        ruled_out=tuple(each for each in ranking.ruled_out if each.event_id not in named),
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
        missing=ranking.missing,
        ruled_out=ranking.ruled_out,
        **error.data.carried,
    )
    return Decision(
        outcome=SUSPECT,
        reason="nothing open in the order explains the error; its service may know" + _still_missing(ranking),
        confidence=SUSPECTED,
        emit=[suspicion],
    )
