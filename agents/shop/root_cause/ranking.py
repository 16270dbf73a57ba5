"""Ranking: the open failures before an error, the likeliest first.

A candidate that the error's chain of causes leads to comes before all others; else the nearest comes first. Earlier
errors are explained first, for what explained one of them is less likely to explain the next. It fails by being unsure:
rivals close together, a cause that is not remembered and clocks at odds with the log leave a guess, or nothing. Weights
and limits are our own starting point; how sure a verdict is was measured (decision record 0027).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from agents.model.history import EventKey, Past
from agents.platform.events import (
    GUESS_TO,
    MOST_ALTERNATIVES,
    MOST_MISSING,
    MOST_RULED_OUT,
    SURE_FROM,
    ErrorOccurred,
    RuledOut,
)
from agents.shop.facts.causes import Candidate, Harmless, look
from agents.shop.facts.story import Chronicle, Retold, Story, deviations
from agents.shop.root_cause.chain import Chain, causes_of, chain_of

#: How sure a verdict without rivals is: the error's chain of causes leads to it, it is all there is, or all there is
#: was dealt with rightly. Measured.
LINKED: Final = 0.98
ALONE: Final = 0.9
WEAK: Final = 0.7
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
    def standing(self) -> tuple[bool, bool]:
        """What comes before any weight: only candidates of the same standing are rivals."""
        return self.linked, not self.candidate.is_weak

    @property
    def at_most(self) -> float:
        """How sure a verdict that names it can be: as sure as without rivals."""
        sure = LINKED if self.linked else WEAK if self.candidate.is_weak else ALONE
        return min(sure, GUESS_TO) if self.candidate.doubt else sure


@dataclass(frozen=True, slots=True)
class Explained:
    """An earlier error and the culprit found for it."""

    error_at: datetime
    culprit: EventKey


@dataclass(frozen=True, slots=True)
class Ranking:
    """What could have led to an error."""

    story: Story
    chain: Chain
    #: Every open candidate, the likeliest first.
    ranked: Sequence[Ranked]
    #: What only looks like the culprit of a failure.
    harmless: Sequence[Harmless]

    @property
    def confidence(self) -> float:
        """How the first two share their weight, times how sure the first would be alone; 0 when nothing is open.

        Only one of the same standing is a rival. Two equally near give half; half as far again takes a little more.
        """
        if not self.ranked:
            return 0.0
        first, *others = self.ranked
        rivals = [each.weight for each in others[:1] if each.standing == first.standing]
        share = first.weight / (first.weight + sum(rivals))
        sure = round(first.at_most * share, 2)
        return min(sure, GUESS_TO) if self._is_cause_missing else sure

    @property
    def named(self) -> Ranked | None:
        """The candidate to blame; None when nothing is open, or several are and none stands out (`rivals`)."""
        return None if self.rivals else next(iter(self.ranked), None)

    @property
    def rivals(self) -> Sequence[Ranked]:
        """The candidates between which nobody can tell, the likeliest first; empty where one can."""
        if not self.ranked or self.confidence >= SURE_FROM:
            return ()
        first = self.ranked[0]
        equals = [each for each in self.ranked if each.standing == first.standing]
        return equals if self._is_cause_missing or len(equals) > 1 else ()

    @property
    def _is_cause_missing(self) -> bool:
        return bool(self.chain.missing) and not self.ranked[0].linked

    @property
    def missing(self) -> tuple[str, ...]:
        """What would have to be known to be surer."""
        doubts = [each.candidate.doubt for each in self.ranked if each.candidate.doubt]
        order = () if self.story.placed else ("the order as it was placed is not remembered",)
        tell = (f"what tells {' from '.join(each.candidate.culprit.id for each in self.rivals[:2])}",)
        several = tell if len(self.rivals) > 1 else ()
        return tuple(dict.fromkeys([*self.chain.missing, *doubts, *several, *order]))[:MOST_MISSING]

    def find(self, culprit: EventKey) -> Ranked | None:
        """The candidate this event is to blame for, if it is open."""
        return next((each for each in self.ranked if each.candidate.culprit.key == culprit), None)

    def is_ambiguous(self, event_id: str) -> bool:
        """Whether several sources have an event with this id."""
        return self.story.chronicle.is_ambiguous(event_id)

    def confidence_of(self, one: Ranked) -> float:
        """How sure a verdict may be that names this one: the first as sure as the rules are, others a guess."""
        return self.confidence if one is self.ranked[0] else min(self.confidence, GUESS_TO)

    def alternatives(self, *named: str) -> tuple[str, ...]:
        """What else it could have been, when these events are named: open rivals by rank, then other deviations.

        Those in the chain of causes come first, then the nearest.
        """
        rest = sorted(deviations(self.story), key=lambda each: (each.key not in self.chain.steps, self._away(each.at)))
        likely = dict.fromkeys([*(each.candidate.culprit.id for each in self.ranked), *(each.id for each in rest)])
        return tuple(each for each in likely if each not in named)[:MOST_ALTERNATIVES]

    @property
    def ruled_out(self) -> tuple[RuledOut, ...]:
        """Why what looks like a culprit is none; those in the chain of causes come first, then the nearest."""
        nearest = sorted(
            self.harmless, key=lambda each: (each.event.key not in self.chain.steps, self._away(each.event.at))
        )
        return tuple(RuledOut(event_id=each.event.id, why=each.why) for each in nearest[:MOST_RULED_OUT])

    def _away(self, at: datetime) -> float:
        return abs((self.story.at - at).total_seconds())


class Ranker:
    """Ranks what was open at errors of one order, knowing what explains the errors before them.

    That is found again rather than read from the verdicts published: whether those are here yet is a matter of luck.
    """

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._explained: dict[EventKey, Explained | None] = {}

    def rank(self, error: Past[ErrorOccurred]) -> Ranking:
        """Rank every failure of the order that was open when the error happened, by the clocks and by the log."""
        ranking = self._rank(error, self._explain_before(error))
        return _compared(ranking, error, self._chronicle)

    def _explain_before(self, error: Past[ErrorOccurred]) -> Mapping[EventKey, Explained]:
        """What led to those of the earlier errors that matter: the latest ones, and those that led to this one."""
        earlier = [past for past in self._chronicle.until(ErrorOccurred, error.at) if past.key != error.key]
        linked = causes_of(error, self._chronicle, MOST_EXPLAINED)
        late: list[Past[Any]] = [past for past in linked if isinstance(past.data, ErrorOccurred) and past.at > error.at]
        keys = {past.key for past in linked}
        matter = [past for past in earlier[:-MOST_EXPLAINED] if past.key in keys] + earlier[-MOST_EXPLAINED:]
        explained: dict[EventKey, Explained] = {}
        for past in [*matter, *late]:
            if past.key not in self._explained:
                self._explained[past.key] = _first(past, self._rank(past, explained))
            if (known := self._explained[past.key]) is not None:
                explained[past.key] = known
        return explained

    def _rank(self, error: Past[ErrorOccurred], explained: Mapping[EventKey, Explained]) -> Ranking:
        shared = {key: each.culprit for key, each in explained.items()}
        chain = chain_of(error, self._chronicle, shared)
        blamed = frozenset(shared.values())
        story = Story(self._chronicle, error.at, blamed, chain.late(error.at))
        found = look(story)
        return Ranking(story, chain, _ordered(found.candidates, error, chain, explained), found.harmless)


def _first(error: Past[ErrorOccurred], ranking: Ranking) -> Explained | None:
    """What explains an earlier error; nothing where its cause is not remembered."""
    if not ranking.ranked or (ranking.chain.missing and not ranking.ranked[0].linked):
        return None
    return Explained(error.at, ranking.ranked[0].candidate.culprit.key)


def _compared(ranking: Ranking, error: Past[ErrorOccurred], chronicle: Chronicle) -> Ranking:
    """The ranking, with a doubt about what the log tells otherwise, where clocks may be a little wrong."""
    place = next((i for i, past in enumerate(chronicle.log) if past.key == error.key), len(chronicle.log))
    retold = Retold(chronicle, error.at, place, frozenset(ranking.chain.steps))
    if not retold.differs:
        return ranking
    by_log = look(Story(retold, error.at, ranking.story.blamed)).candidates
    failures = {each.failure for each in by_log}
    ranked = [
        each if each.candidate.failure in failures else replace(each, candidate=_doubted(each.candidate))
        for each in ranking.ranked
    ]
    if not ranked:
        ranked = [Ranked(_doubted(each), linked=False, weight=1.0) for each in by_log]
    return replace(ranking, ranked=ranked)


def _doubted(candidate: Candidate) -> Candidate:
    doubt = f"whether event {candidate.culprit.id} was open at the error: the clocks and the order of the log disagree"
    return replace(candidate, doubt=candidate.doubt or doubt)


def _ordered(
    found: Sequence[Candidate],
    error: Past[ErrorOccurred],
    chain: Chain,
    explained: Mapping[EventKey, Explained],
) -> Sequence[Ranked]:
    """Every open candidate, the likeliest first."""
    newest_at = max((candidate.culprit.at for candidate in found), default=error.at)
    settled = _settled(explained, newest_at)
    ranking = [_weigh(candidate, error, chain, settled) for candidate in found]
    return sorted(
        ranking,
        key=lambda each: (each.standing, each.weight, each.candidate.culprit.at, each.candidate.culprit.id),
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
    candidate: Candidate, error: Past[ErrorOccurred], chain: Chain, settled: Mapping[EventKey, datetime]
) -> Ranked:
    """Weigh by the steps back along the chain, else by the time before the error: half as far weighs double."""
    steps = [chain.steps[sign.key] for sign in candidate.signs if sign.key in chain.steps]
    if steps:
        return Ranked(candidate, linked=True, weight=1 / min(steps))
    seen_at = max(sign.at for sign in candidate.signs)
    weight = 1 / (1 + max(0.0, (error.at - seen_at).total_seconds()))
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
