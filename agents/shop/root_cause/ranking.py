"""Ranking: the open failures before an error, the likeliest first.

A candidate that the error's chain of causes leads to comes before all others; else the nearest comes first. Earlier
errors are explained first, for what explained one of them is less likely to explain the next. It fails by being unsure:
rivals close together get a low confidence. Weights and limits are our own starting point.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from agents.model.history import EventKey, History, Past
from agents.platform.events import MOST_ALTERNATIVES, ErrorOccurred
from agents.shop.facts.causes import Candidate, candidates
from agents.shop.facts.story import Chronicle, Story, deviations

#: How sure a verdict without rivals is: the error's chain of causes leads to it, or it is all there is.
LINKED: Final = 0.98
ALONE: Final = 0.9
#: How much likelier a candidate of the producer that failed is.
SAME_PRODUCER: Final = 1.5
#: How much less likely what explained an earlier error is, when something newer broke since.
BLAMED_BEFORE: Final = 0.25
#: Earlier errors that are explained before one is. An order that fails more often is one story all the same, and each
#: costs as much as the error itself. Own choice.
MOST_EXPLAINED: Final = 8


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate and what speaks for it."""

    candidate: Candidate
    #: The error's chain of causes leads to it. This comes before any weight.
    linked: bool
    #: Comparable among candidates that are equally linked; above 0.
    weight: float

    @property
    def at_most(self) -> float:
        """How sure a verdict that names it can be: as sure as without rivals."""
        return LINKED if self.linked else ALONE


@dataclass(frozen=True, slots=True)
class Explained:
    """An earlier error and the culprit found for it."""

    error_at: datetime
    culprit: EventKey


@dataclass(frozen=True, slots=True)
class Ranking:
    """What could have led to an error."""

    story: Story
    #: How many steps back each cause of the error is.
    chain: Mapping[EventKey, int]
    #: Every open candidate, the likeliest first.
    ranked: Sequence[Ranked]

    @property
    def confidence(self) -> float:
        """How the first two share their weight, times how sure the first would be alone.

        A first one that is linked has no rival in a second that is not. Two equally near give 0.45; 0.5 takes a
        second that is a quarter farther away.
        """
        first = self.ranked[0]
        rivals = [each.weight for each in self.ranked[1:2] if each.linked == first.linked]
        share = first.weight / (first.weight + sum(rivals))
        return round(first.at_most * share, 2)

    def find(self, culprit: EventKey) -> Ranked | None:
        """The candidate this event is to blame for, if it is open."""
        return next((each for each in self.ranked if each.candidate.culprit.key == culprit), None)

    def alternatives(self, *named: str) -> tuple[str, ...]:
        """What else it could have been, when these events are named: open rivals by rank, then other deviations.

        Those in the chain of causes come first, then the nearest.
        """
        rest = sorted(deviations(self.story), key=lambda each: (each.key not in self.chain, self.story.at - each.at))
        likely = dict.fromkeys([*(each.candidate.culprit.id for each in self.ranked), *(each.id for each in rest)])
        return tuple(each for each in likely if each not in named)[:MOST_ALTERNATIVES]


def rank(error: Past[ErrorOccurred], history: History) -> Ranking:
    """Rank every failure of the order that was open when the error happened."""
    chronicle = Chronicle(history)
    explained = _explain_earlier(chronicle, error)
    chain = _chain(error, chronicle, explained)
    story = _story(chronicle, error, explained)
    return Ranking(story, chain, _ranked(story, error, chain, explained))


def _explain_earlier(chronicle: Chronicle, error: Past[ErrorOccurred]) -> Mapping[EventKey, Explained]:
    """What led to each of the order's earlier errors.

    Found again rather than read from the verdicts published: whether those are here yet is a matter of luck.
    """
    explained: dict[EventKey, Explained] = {}
    for earlier in _earlier(chronicle, error):
        chain = _chain(earlier, chronicle, explained)
        ranking = _ranked(_story(chronicle, earlier, explained), earlier, chain, explained)
        if ranking:
            explained[earlier.key] = Explained(earlier.at, ranking[0].candidate.culprit.key)
    return explained


def _earlier(chronicle: Chronicle, error: Past[ErrorOccurred]) -> Sequence[Past[ErrorOccurred]]:
    """The errors that matter for this one, the earliest first: the latest ones, and those that led to it."""
    errors = [past for past in chronicle.until(ErrorOccurred, error.at) if past.key != error.key]
    linked = set(islice(_causes(error, chronicle), MOST_EXPLAINED))
    return [past for past in errors[:-MOST_EXPLAINED] if past.key in linked] + errors[-MOST_EXPLAINED:]


def _story(chronicle: Chronicle, error: Past[ErrorOccurred], explained: Mapping[EventKey, Explained]) -> Story:
    return Story(chronicle, error.at, frozenset(each.culprit for each in explained.values()))


def _chain(
    error: Past[ErrorOccurred], chronicle: Chronicle, explained: Mapping[EventKey, Explained]
) -> Mapping[EventKey, int]:
    """How many steps back each cause of the error is. An error caused by an error shares its culprit."""
    steps = {cause: step for step, cause in enumerate(_causes(error, chronicle), 1)}
    shared = {explained[each].culprit: step + 1 for each, step in steps.items() if each in explained}
    return shared | steps


def _causes(error: Past[ErrorOccurred], chronicle: Chronicle) -> Iterator[EventKey]:
    """What led to the error, step by step back."""
    seen = {error.key}
    cause = chronicle.cause(error)
    while cause is not None and cause.key not in seen:
        yield cause.key
        seen.add(cause.key)
        cause = chronicle.cause(cause)


def _ranked(
    story: Story,
    error: Past[ErrorOccurred],
    chain: Mapping[EventKey, int],
    explained: Mapping[EventKey, Explained],
) -> Sequence[Ranked]:
    """Every open candidate, the likeliest first."""
    found = candidates(story)
    newest_at = max((candidate.culprit.at for candidate in found), default=error.at)
    settled = _settled(explained, newest_at)
    ranking = [_weigh(candidate, error, chain, settled) for candidate in found]
    return sorted(
        ranking,
        key=lambda each: (each.linked, each.weight, each.candidate.culprit.at, each.candidate.culprit.id),
        reverse=True,
    )


def _settled(explained: Mapping[EventKey, Explained], newest_at: datetime) -> Mapping[EventKey, datetime]:
    """The last error before the newest failure that each culprit explained."""
    last: dict[EventKey, datetime] = {}
    for each in explained.values():
        if each.error_at < newest_at:
            last[each.culprit] = max(each.error_at, last.get(each.culprit, each.error_at))
    return last


def _weigh(
    candidate: Candidate,
    error: Past[ErrorOccurred],
    chain: Mapping[EventKey, int],
    settled: Mapping[EventKey, datetime],
) -> Ranked:
    """Weigh by the steps back along the chain, else by the time before the error: half as far weighs double."""
    steps = [chain[sign.key] for sign in candidate.signs if sign.key in chain]
    if steps:
        return Ranked(candidate, linked=True, weight=1 / min(steps))
    seen_at = max(sign.at for sign in candidate.signs)
    weight = 1 / (1 + (error.at - seen_at).total_seconds())
    if any(_is_same_producer(sign.source, error) for sign in candidate.signs):
        weight *= SAME_PRODUCER
    # What showed again after the error it explained is not settled.
    settled_at = settled.get(candidate.culprit.key)
    if settled_at is not None and seen_at <= settled_at:
        weight *= BLAMED_BEFORE
    return Ranked(candidate, linked=False, weight=weight)


def _is_same_producer(source: str, error: Past[ErrorOccurred]) -> bool:
    """Sources are URIs; the service's name may be one part of it."""
    return source == error.source or error.data.service in re.split(r"[:/]", source)
