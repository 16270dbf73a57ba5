"""Report: how the alarms were answered, beside chance and a simple way, and what the answers cost."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.root_cause.playing import Played
from benchmarks.root_cause.questions import Question, Story, most_unusual, reached

#: A verdict that claims so much is not to be wrong.
SURE_FROM = 0.9


@dataclass(slots=True)
class Tally:
    """How the alarms of a subset were answered."""

    alarms: int = 0
    first: int = 0
    among_three: int = 0
    #: Right answers to be expected of any service that the alarmed one reaches.
    by_chance: float = 0.0
    #: Right answers of `questions.most_unusual`.
    by_most_unusual: int = 0
    #: Alarms with a change behind them, and those whose verdict names it.
    changes: int = 0
    changes_named: int = 0
    sure_and_wrong: int = 0
    #: Causes, and how often people were told that one has begun, that it is another one, and that it is over.
    causes: int = 0
    opened: int = 0
    corrected: int = 0
    resolved: int = 0
    #: Messages of the agents for each alarm.
    messages: list[float] = field(default_factory=list)

    @property
    def top1(self) -> float:
        """The share of alarms whose culprit is named first."""
        return self.first / self.alarms

    @property
    def top3(self) -> float:
        """The share of alarms whose culprit is among the first three."""
        return self.among_three / self.alarms

    @property
    def named(self) -> float:
        """The share of changes that are named; 1 where there is none to name."""
        return self.changes_named / self.changes if self.changes else 1.0

    def add(self, other: Tally) -> None:
        """Count what another one counted as well."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Report:
    """All answers of one run."""

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    #: By tenth of the confidence claimed: what was claimed, and whether it was right.
    claims: dict[int, list[tuple[float, bool]]] = field(default_factory=lambda: defaultdict(list))
    largest: int = 0
    #: Each alarm whose culprit was not named first, one line each.
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> Tally:
        """All subsets together."""
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total

    def take(self, story: Story, played: Played) -> None:
        """Count the answers to a story."""
        tally = self.tallies[story.subset]
        tally.causes += story.causes
        tally.opened += played.said.get("EscalationRequested", 0)
        tally.corrected += played.said.get("EscalationCorrected", 0)
        tally.resolved += played.said.get("IncidentResolved", 0)
        tally.messages.append(played.messages / len(story.questions))
        self.largest = max(self.largest, played.largest)
        for question in story.questions:
            self._answered(tally, story, question, played)

    def _answered(self, tally: Tally, story: Story, question: Question, played: Played) -> None:
        named = played.named(question.alarm_id)
        verdict: Mapping[str, object] = played.verdicts.get(question.alarm_id, {})
        claimed = float(str(verdict.get("confidence", 0.0)))
        is_right = named[:1] == [question.culprit]
        tally.alarms += 1
        tally.first += is_right
        tally.among_three += question.culprit in named[:3]
        tally.sure_and_wrong += claimed >= SURE_FROM and not is_right
        tally.by_chance += 1 / len(reached(story, question))
        tally.by_most_unusual += most_unusual(story, question) == question.culprit
        if question.change_id is not None:
            tally.changes += 1
            tally.changes_named += verdict.get("culprit_event_id") == question.change_id
        self.claims[min(9, int(claimed * 10))].append((claimed, is_right))
        if not is_right:
            self.wrong.append(
                f"{story.subset}, {story.name}: the alarm of {question.alarmed} is {question.culprit}'s,"
                f" named {', '.join(named[:3]) or 'nobody'} with {claimed:.2f}"
            )

    def lines(self) -> Iterator[str]:
        """The report as a table for a person."""
        yield (
            f"{'subset':28} {'alarms':>6} {'top-1':>6} {'top-3':>6} {'chance':>6} {'simple':>6} {'change':>6}"
            f" {'sure+wrong':>10} {'opened':>8} {'corrected':>9} {'ended':>6} {'messages: median':>17} {'most':>6}"
        )
        for name, tally in [*self.tallies.items(), ("all", self.total)]:
            yield (
                f"{name:28} {tally.alarms:6} {tally.top1:6.3f} {tally.top3:6.3f} {tally.by_chance / tally.alarms:6.3f}"
                f" {tally.by_most_unusual / tally.alarms:6.3f} {tally.named if tally.changes else '':6.5}"
                f" {tally.sure_and_wrong:10} {tally.opened:4}/{tally.causes:<3} {tally.corrected:9} {tally.resolved:6}"
                f" {statistics.median(tally.messages):17.0f} {max(tally.messages):6.0f}"
            )
        yield f"the largest message: {self.largest} bytes"
        for tenth, claims in sorted(self.claims.items()):
            claimed, right = _mean(claims, 0), _mean(claims, 1)
            yield f"claimed 0.{tenth}…  {len(claims):5} verdicts, claimed {claimed:.3f}, right {right:.3f}"


def _mean(claims: Sequence[tuple[float, bool]], place: int) -> float:
    return statistics.fmean(each[place] for each in claims)
