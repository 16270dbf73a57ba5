"""Root cause: names the event that led to an error of an order, or hands the error to the service's timeline.

The verdict rests on what happened before the error: what is still open (`agents.causes`), whether the error's chain of
causes leads to it, and how near it is. What the error says about itself is not read. Weights and limits are our own
starting point. An error that nothing explained is looked at again when its verdict `unknown` comes by: its cause may
have reached the timeline behind it. It fails by being unsure: rivals close together get a low confidence, which whoever
recovers must mind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agents.agent import Agent
from agents.causes import MOST_ALTERNATIVES, MOST_EVIDENCE, Candidate, Failure, candidates
from agents.decision import Decision
from agents.events import EVENT_TYPES, DomainEvent, ErrorOccurred, RootCauseIdentified, RootCauseSuspected
from agents.history import History, Past
from agents.normal import Story, deviations
from tables.window import WindowSpec

root_cause = Agent(
    name="root_cause",
    entity="order",
    reacts_to=(ErrorOccurred, RootCauseIdentified),
    remembers=tuple(kind for kind in EVENT_TYPES.values() if "order_id" in kind.model_fields),
    window=WindowSpec(events=50, age=timedelta(days=90)),
)

#: How sure a verdict without rivals is: the error's chain of causes leads to it, or it is all there is.
LINKED: Final = 0.98
ALONE: Final = 0.9
#: How sure it is that nothing in the order's own past explains the error differently.
SUSPECTED: Final = 0.1

#: The outcome when the service is asked.
SUSPECT: Final = "suspected"

#: How much likelier a candidate of the producer that failed is.
SAME_PRODUCER: Final = 1.5
#: How much less likely what explained an earlier error is, when something newer broke since.
BLAMED_BEFORE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate and what speaks for it."""

    candidate: Candidate
    #: The error's chain of causes leads to it. This comes before any weight.
    linked: bool
    #: Comparable among candidates that are equally linked; above 0.
    weight: float


@dataclass(frozen=True, slots=True)
class Explained:
    """An earlier error and the culprit found for it."""

    error_at: datetime
    culprit_id: str


@root_cause.rules
def explain(event: ErrorOccurred | RootCauseIdentified, history: History) -> Decision:
    """Name the likeliest open candidate, or suspect the service when there is none."""
    if isinstance(event, RootCauseIdentified):
        return _look_again(event, history)
    cause = history.event
    return _look(Past(event, cause.time, cause.id, cause.causationid, cause.source), history)


def _look_again(verdict: RootCauseIdentified, history: History) -> Decision:
    """Explain an error that nobody could explain so far, with what has arrived since."""
    errors = [error for error in history.of(ErrorOccurred) if error.id == verdict.error_event_id]
    if verdict.failure != Failure.UNKNOWN or not errors:
        return Decision(outcome="explained", reason="the error has a culprit, or is not remembered")
    decision = _look(errors[0], history)
    if decision.outcome == SUSPECT:
        return Decision(outcome="still_unknown", reason="nothing has arrived since that explains the error")
    return decision


def _look(occurred: Past[ErrorOccurred], history: History) -> Decision:
    explained = _explain_earlier(history, occurred)
    chain = _chain(occurred, history, explained)
    story = _story(history, occurred, explained)
    ranking = _rank(story, occurred, chain, explained)
    if not ranking:
        return _suspect(occurred, _alternatives(ranking, story, chain))
    return _identify(occurred, ranking, _alternatives(ranking, story, chain))


def _explain_earlier(history: History, error: Past[ErrorOccurred]) -> Mapping[str, Explained]:
    """What led to the order's earlier errors, by their ids.

    Found again rather than read from the verdicts published: whether those are here yet is a matter of luck.
    """
    explained: dict[str, Explained] = {}
    for earlier in Story(history, error.at).of(ErrorOccurred):
        if earlier.id == error.id:
            continue
        chain = _chain(earlier, history, explained)
        ranking = _rank(_story(history, earlier, explained), earlier, chain, explained)
        if ranking:
            explained[earlier.id] = Explained(earlier.at, ranking[0].candidate.culprit.id)
    return explained


def _story(history: History, error: Past[ErrorOccurred], explained: Mapping[str, Explained]) -> Story:
    return Story(history, error.at, frozenset(each.culprit_id for each in explained.values()))


def _chain(error: Past[ErrorOccurred], history: History, explained: Mapping[str, Explained]) -> Mapping[str, int]:
    """How many steps back each cause of the error is, by id. An error caused by an error shares its culprit."""
    causes = {past.id: past.causationid for past in history.of(DomainEvent)}
    steps: dict[str, int] = {}
    cause = error.causationid
    while cause is not None and cause not in steps and cause != error.id:
        steps[cause] = len(steps) + 1
        cause = causes.get(cause)
    shared = {explained[each].culprit_id: step + 1 for each, step in steps.items() if each in explained}
    return shared | steps


def _rank(
    story: Story, error: Past[ErrorOccurred], chain: Mapping[str, int], explained: Mapping[str, Explained]
) -> Sequence[Ranked]:
    """Every open candidate, the likeliest first."""
    found = candidates(story)
    newest_at = max((candidate.culprit.at for candidate in found), default=error.at)
    settled = [each for each in explained.values() if each.error_at < newest_at]
    ranking = [_weigh(candidate, error, chain, settled) for candidate in found]
    return sorted(
        ranking,
        key=lambda each: (each.linked, each.weight, each.candidate.culprit.at, each.candidate.culprit.id),
        reverse=True,
    )


def _weigh(
    candidate: Candidate, error: Past[ErrorOccurred], chain: Mapping[str, int], settled: Sequence[Explained]
) -> Ranked:
    """Weigh by the steps back along the chain, else by the time before the error: half as far weighs double.

    `settled` are earlier errors after which another failure began.
    """
    steps = [chain[sign.id] for sign in candidate.signs if sign.id in chain]
    if steps:
        return Ranked(candidate, linked=True, weight=1 / min(steps))
    seen_at = max(sign.at for sign in candidate.signs)
    weight = 1 / (1 + (error.at - seen_at).total_seconds())
    if any(_is_same_producer(sign.source, error) for sign in candidate.signs):
        weight *= SAME_PRODUCER
    # What showed again after the error it explained is not settled.
    if any(each.culprit_id == candidate.culprit.id and seen_at <= each.error_at for each in settled):
        weight *= BLAMED_BEFORE
    return Ranked(candidate, linked=False, weight=weight)


def _is_same_producer(source: str, error: Past[ErrorOccurred]) -> bool:
    """Sources are URIs; the service's name may be one part of it."""
    return source == error.source or error.data.service in re.split(r"[:/]", source)


def _confidence(ranking: Sequence[Ranked]) -> float:
    """How the first two share their weight, times how sure the first would be alone.

    A first one that is linked has no rival in a second that is not. Two equally near give 0.45; 0.5 takes a
    second that is a quarter farther away.
    """
    first = ranking[0]
    rivals = [each.weight for each in ranking[1:2] if each.linked == first.linked]
    share = first.weight / (first.weight + sum(rivals))
    return round((LINKED if first.linked else ALONE) * share, 2)


def _alternatives(ranking: Sequence[Ranked], story: Story, chain: Mapping[str, int]) -> tuple[str, ...]:
    """Open rivals by rank, then other deviations: those in the chain of causes first, then the nearest."""
    rest = sorted(deviations(story), key=lambda each: (each.id not in chain, story.at - each.at))
    likely = dict.fromkeys([*(each.candidate.culprit.id for each in ranking), *(each.id for each in rest)])
    for ruled_out in ranking[:1]:
        for each in (ruled_out.candidate.culprit, *ruled_out.candidate.symptoms):
            likely.pop(each.id, None)
    return tuple(likely)[:MOST_ALTERNATIVES]


def _identify(error: Past[ErrorOccurred], ranking: Sequence[Ranked], alternatives: tuple[str, ...]) -> Decision:
    first = ranking[0]
    candidate = first.candidate
    confidence = _confidence(ranking)
    verdict = RootCauseIdentified(
        order_id=error.data.order_id,
        service=error.data.service,
        error_event_id=error.id,
        culprit_event_id=candidate.culprit.id,
        failure=candidate.failure.value,
        confidence=confidence,
        evidence=tuple(_evidence(error, candidate)),
        alternatives=alternatives,
    )
    how = "in the error's chain of causes" if first.linked else "the nearest" if len(ranking) > 1 else "the only one"
    return Decision(
        outcome=candidate.failure.value,
        reason=f"event {candidate.culprit.id} explains the error; open failures: {len(ranking)}, this one is {how}",
        confidence=confidence,
        emit=[verdict],
    )


def _evidence(error: Past[ErrorOccurred], candidate: Candidate) -> Iterator[str]:
    yield candidate.culprit.id
    yield error.id
    others = (*candidate.context, *candidate.symptoms, *candidate.repeats)
    yield from (each.id for each in others[: MOST_EVIDENCE - 2])


def _suspect(error: Past[ErrorOccurred], alternatives: tuple[str, ...]) -> Decision:
    suspicion = RootCauseSuspected(
        order_id=error.data.order_id,
        service=error.data.service,
        error_event_id=error.id,
        culprit_event_id=None,
        failure=Failure.UNKNOWN.value,
        confidence=SUSPECTED,
        evidence=(error.id,),
        alternatives=alternatives,
    )
    return Decision(
        outcome=SUSPECT,
        reason="nothing open in the order explains the error; its service may know",
        confidence=SUSPECTED,
        emit=[suspicion],
    )
