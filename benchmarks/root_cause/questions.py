"""Questions: alarms with their answers, of PetShop and of graphs of our own; and how chance and a simple way answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.simulator.services import KINDS, Case, Kind, case
from benchmarks.root_cause import petshop

Happened = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """An alarm and its answer."""

    alarm_id: str
    alarmed: str
    culprit: str
    #: The deployment or the change of configuration to be named, where one is behind it.
    change_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What happened at one time, and the alarms in it."""

    name: str
    #: What it is counted with.
    subset: str
    events: Sequence[Happened]
    questions: Sequence[Question]
    #: How many causes are behind the alarms.
    causes: int = 1


def of_petshop() -> Iterator[Story]:
    """The training issues of the public benchmark."""
    for issue in petshop.issues():
        asked = Question(alarm_id=issue.alarm_id, alarmed=issue.alarmed, culprit=issue.culprit)
        yield Story(name=issue.name, subset=issue.subset, events=issue.events, questions=[asked])


def of_graphs(
    seeds: Sequence[int], *, missing: float, unmeasured: float, kinds: Sequence[Kind] = KINDS
) -> Iterator[Story]:
    """Graphs of our own, one of each kind for each seed."""
    for kind in kinds:
        for seed in seeds:
            yield of_case(f"{kind} {seed}", case(seed, kind, missing=missing, unmeasured=unmeasured))


def of_case(name: str, told: Case) -> Story:
    """A simulated case as a story."""
    asked = [
        Question(alarm_id=each.alarm_id, alarmed=each.alarmed, culprit=each.culprit, change_id=each.change_id)
        for each in told.answers
    ]
    causes = len({each.culprit for each in told.answers})
    return Story(name=name, subset=told.kind, events=told.events, questions=asked, causes=causes)


def renamed(story: Story, seed: int) -> tuple[Story, Mapping[str, str]]:
    """The same with every service called something else, and how: what is found must not hang on names."""
    names = sorted({name for event in story.events for name in (event["data"]["service"], *_called(event))})
    chance = random.Random(f"{story.name} {seed}")
    new = dict(zip(names, (f"s{number}" for number in chance.sample(range(len(names)), len(names))), strict=True))
    return _told_with(story, new.__getitem__, lambda event_id: event_id), new


def prefixed(story: Story, prefix: str) -> Story:
    """The same with services and ids of its own, so that several can be played on one sandbox."""

    def with_prefix(name: str) -> str:
        return prefix + name

    return _told_with(story, with_prefix, with_prefix)


def _told_with(story: Story, name: Callable[[str], str], new_id: Callable[[str], str]) -> Story:
    def again(event: Happened) -> Happened:
        data = {**event["data"], "service": name(event["data"]["service"])}
        if "calls" in data:
            called = [name(each) for each in _called(event)]
            data["calls"] = called[0] if isinstance(data["calls"], str) else called
        return {**event, "id": new_id(event["id"]), "data": data}

    asked = [
        replace(
            each,
            alarm_id=new_id(each.alarm_id),
            alarmed=name(each.alarmed),
            culprit=name(each.culprit),
            change_id=each.change_id and new_id(each.change_id),
        )
        for each in story.questions
    ]
    return replace(story, events=[again(event) for event in story.events], questions=asked)


def reached(story: Story, question: Question) -> Sequence[str]:
    """The alarmed service, those it calls, and those they call, as far as it was told: chance takes any of them."""
    calls: dict[str, dict[str, None]] = {}
    for event in story.events:
        if event["type"] in ("DependencyDeclared", "DependencyObserved"):
            calls.setdefault(event["data"]["service"], {}).update(dict.fromkeys(_called(event)))
    found = [question.alarmed]
    for name in found:
        found += [each for each in calls.get(name, ()) if each not in found]
    return found


def most_unusual(story: Story, question: Question) -> str | None:
    """The simple way: of the services reached the one whose metric is the most times its normal, up to the alarm."""
    alarmed_at = next(event["time"] for event in story.events if event["id"] == question.alarm_id)
    among = set(reached(story, question))
    found: dict[str, float] = {}
    for event in story.events:
        data = event["data"]
        if event["type"] == "MetricBreached" and data["service"] in among and data["from_at"] <= alarmed_at:
            better, worse = sorted((data["value"], data["normal"]))
            found[data["service"]] = max(found.get(data["service"], 0.0), worse / max(better, 1e-9))
    return max(sorted(found), key=lambda name: found[name], default=None)


def _called(event: Happened) -> Sequence[str]:
    called = event["data"].get("calls", ())
    return [called] if isinstance(called, str) else called
