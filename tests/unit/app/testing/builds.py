"""A small domain of builds: an agent that quarantines flaky repositories, and one that tells of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from agents import (
    Agent,
    Choice,
    Decision,
    Domain,
    DomainEvent,
    Effect,
    Entity,
    History,
    Id,
    Statement,
    WindowSpec,
    not_permitted,
    told,
)

repository = Entity("repository", field="repository_id")


class Build(DomainEvent, topic="builds", about=repository):
    repository_id: Id
    number: int


class BuildFailed(Build):
    pass


class BuildPassed(Build):
    pass


class RepositoryQuarantined(DomainEvent, topic="quarantines", about=repository):
    repository_id: Id


class QuarantineRefused(RepositoryQuarantined):
    pass


class TeamTold(DomainEvent, topic="teams", about=repository):
    repository_id: Id


class Quarantine(Effect):
    repository_id: Id

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        return [("INSERT INTO quarantines VALUES (%(id)s, %(by)s)", {"id": self.repository_id, "by": str(decision_id)})]

    def events(self) -> Sequence[DomainEvent]:
        return [RepositoryQuarantined(repository_id=self.repository_id)]


flaky = Agent(
    name="flaky",
    entity=repository,
    reacts_to=(BuildFailed,),
    remembers=(BuildFailed, BuildPassed),
    window=WindowSpec(events=3, age=timedelta(days=1)),
)


@flaky.rules
def judge(build: BuildFailed, history: History) -> Decision:
    numbers = [past.data.number for past in history.of(Build)]
    if build.number == 13:
        raise ZeroDivisionError
    if not history.of(BuildPassed):
        return Decision(outcome="broken", reason=f"knows {numbers}")
    return Decision(
        outcome="flaky",
        reason=f"knows {numbers}",
        confidence=0.7,
        effects=[Quarantine(repository_id=build.repository_id)],
        hold="large" if build.number >= 1000 else None,
        otherwise=[QuarantineRefused(repository_id=build.repository_id)],
    )


class FlakyChoice(Choice):
    """Judge one failed build."""

    verdict: Literal["flaky", "broken", "ignored", "wrong"]


@flaky.model(FlakyChoice, settled=("broken",))
def chosen(choice: FlakyChoice, build: BuildFailed, history: History, by_rules: Decision) -> Decision:
    if choice.verdict == "ignored":
        raise not_permitted("a failed build is not ignored")
    if choice.verdict == "wrong":
        raise ZeroDivisionError
    return replace(by_rules, outcome=choice.verdict, reason=told(choice.verdict, by_rules, choice))


tell = Agent(
    name="tell",
    entity=repository,
    reacts_to=(RepositoryQuarantined, QuarantineRefused),
    remembers=(),
    window=WindowSpec(events=1, age=timedelta(days=1)),
)


@tell.rules
def tell_the_team(event: RepositoryQuarantined, history: History) -> Decision:
    return Decision(outcome="told", reason="somebody has to know", emit=[TeamTold(repository_id=event.repository_id)])


builds = Domain(
    name="builds",
    entities=[repository],
    events=[BuildFailed, BuildPassed, RepositoryQuarantined, QuarantineRefused, TeamTold],
    agents=[flaky, tell],
    effects=[Quarantine],
)


def failed(number: int, repository_id: str = "r-1") -> BuildFailed:
    return BuildFailed(repository_id=repository_id, number=number)


def passed(number: int, repository_id: str = "r-1") -> BuildPassed:
    return BuildPassed(repository_id=repository_id, number=number)
