"""Driver: one domain under test. Each call begins with empty windows, whatever was asked before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from agents.engine.brain import held
from agents.engine.routing import EntityRef, Routed
from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.choice import Choice
from agents.model.decision import Verdict
from agents.model.domain import Domain
from agents.model.event import DomainEvent
from agents.model.history import History
from agents.model.holding import HoldPolicy
from app.testing.choreography import Answer, Choreography, Decide, Memory, Sending, by_rules, routed, written
from app.testing.decided import Decided, Published
from app.testing.given import SOURCE, STEP, Given, Sent, as_given, records
from app.testing.model import chosen
from app.timemachine.replaying import Replayed, replay_file
from outbox.parameters import DEAD_LETTERS
from tables.errors import Fatal
from tables.event import InvalidEvent


class NothingToDecide(Fatal):
    """The agent would not be asked about this event, or no model would; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What came of some events, and of all that followed."""

    #: Every decision, in the order it was made.
    decisions: Sequence[Decided]
    #: Everything the agents published, in the order of the decisions; of held ones what the answer lets out.
    published: Sequence[Published]
    #: Records that a worker would make dead letters of, and why.
    dead_letters: Sequence[InvalidEvent]

    def of(self, agent: Agent | str) -> Sequence[Decided]:
        """The decisions of one agent."""
        name = _name(agent)
        return [each for each in self.decisions if each.agent == name]

    @property
    def events(self) -> Sequence[DomainEvent | None]:
        """What was published, as the agents emitted it."""
        return [message.event for message in self.published]


class DomainDriver:
    """Lets agents of some domains decide. Raises `DomainInvalid` when a worker would not start with them.

    Agents are given by name or as they are. Events are given as typed data, or with more of their envelope by `event`;
    those without a time happen a minute after the one before. `hold` stands for an operator's settings: which decisions
    wait for a person beside those for which the agent asks itself.
    """

    def __init__(self, *domains: Domain, root: Path | None = None) -> None:
        self.catalogue = Catalogue(domains, reserved=[DEAD_LETTERS])
        self._root = root or Path()

    def event(
        self,
        kind: DomainEvent | str,
        data: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        later: timedelta = STEP,
        id: str | None = None,  # noqa: A002 - as the envelope calls it
        source: str = SOURCE,
        correlationid: str | None = None,
        causationid: str | None = None,
    ) -> Given:
        """An event with its envelope: typed data, or a type's name with whatever `data` a producer sends.

        It happens `at` a time with a zone, or `later` than the event before it. Raises `DomainInvalid`, or ValueError
        for a time without a zone, and for data beside typed data.
        """
        if data is not None and not isinstance(kind, str):
            raise ValueError(f"{type(kind).__name__} has its data already")
        given = Given(type=kind, data=data or {}) if isinstance(kind, str) else as_given(kind, self.catalogue.types)
        return replace(
            given,
            at=at,
            later=later,
            id=id,
            source=source,
            correlationid=correlationid,
            causationid=causationid,
        )

    def decide(
        self, agent: Agent | str, event: Sent, *, after: Iterable[Sent] = (), hold: HoldPolicy | None = None
    ) -> Decided:
        """What the agent decides by its rules on the event, when it has seen those in `after`.

        Raises `NothingToDecide`, `InvalidEvent` for what would become a dead letter, or `DecisionFailed`.
        """
        return self._decide(self._agent(agent), event, after, hold, by_rules)

    def choose(
        self,
        agent: Agent | str,
        reply: Choice | str,
        event: Sent,
        *,
        after: Iterable[Sent] = (),
        hold: HoldPolicy | None = None,
    ) -> Decided:
        """What is decided when a language model fills the form so, or replies this text.

        Where the agent does not permit it, or the text fills no form, the rules decide and `fallback_reason` says why.
        Raises as `decide`; `NothingToDecide` also where no model would be asked.
        """
        text = reply if isinstance(reply, str) else reply.model_dump_json()

        def by_model(agent: Agent, history: History) -> Verdict:
            rules = agent.by_rules(history)
            if not agent.leaves_open(history, rules):
                raise NothingToDecide(f"no model is asked: {agent.name} decides {rules.outcome} by its rules")
            return chosen(agent, history, text)

        return self._decide(self._agent(agent), event, after, hold, by_model)

    def run(
        self,
        events: Iterable[Sent],
        *,
        agents: Iterable[Agent | str] = (),
        answer: Answer = "wait",
        latency: int = 0,
        hold: HoldPolicy | None = None,
    ) -> Told:
        """What all agents, or some, decide on the events, and on what is published, until nothing is left.

        `answer` is what people say to held decisions. A message is read `latency` events after its decision. Raises
        `DecisionFailed`.
        """
        types = self.catalogue.types
        ran = Choreography(
            catalogue=self.catalogue,
            agents=[self._agent(agent) for agent in agents],
            answer=answer,
            latency=lambda _: latency,
            hold=hold or HoldPolicy(),
        ).run([Sending(value) for value in records(events, types)])
        decisions = [Decided(record, ran.histories[key]) for key, record in ran.decisions.items()]
        messages = [message for record in ran.decisions.values() for message in ran.outgoing(record)]
        return Told(
            decisions=decisions,
            published=[Published.of(message, types) for message in messages],
            dead_letters=ran.dead_letters,
        )

    def replay(self, path: str | Path, agents: Iterable[Agent | str] | None = None) -> Replayed:
        """Decide again what is in a slice; a relative path begins at pytest's root directory."""
        return replay_file(self._root / path, self.catalogue, agents)

    def _agent(self, wanted: Agent | str) -> Agent:
        name = _name(wanted)
        if name not in self.catalogue.agents:
            raise ValueError(f"no agent is called {name}: there are {', '.join(self.catalogue.agents)}")
        return self.catalogue.agents[name] if isinstance(wanted, str) else wanted

    def _decide(
        self, agent: Agent, event: Sent, after: Iterable[Sent], hold: HoldPolicy | None, decide: Decide
    ) -> Decided:
        memory = Memory(self.catalogue.types)
        read = [routed(value, (), self.catalogue) for value in records([*after, event], self.catalogue.types)]
        for offset, each in enumerate(read):
            for entity in _of(agent, each):
                memory.fold(agent, each, entity.id, offset)
        last, offset = read[-1], len(read) - 1
        entity = _decided_on(agent, last)
        history = memory.known(agent, last, entity.id, offset)
        verdict = held(decide(agent, history), hold or HoldPolicy())
        now = max(each.event.time for each in read)
        return Decided(written(agent, history, verdict, entity=entity, offset=offset, now=now), history)


class DomainFixture(Protocol):
    """The fixture `domain`."""

    def __call__(self, *domains: Domain) -> DomainDriver:
        """A driver of these domains, and those they use."""


def _name(agent: Agent | str) -> str:
    return agent if isinstance(agent, str) else agent.name


def _of(agent: Agent, read: Routed) -> Sequence[EntityRef]:
    return [entity for entity in read.entities if entity.entity == agent.entity.name]


def _decided_on(agent: Agent, read: Routed) -> EntityRef:
    event = read.event
    if event.type not in agent.reacts_to:
        raise NothingToDecide(f"{agent.name} does not react to {event.type}")
    entities = _of(agent, read)
    if not entities:
        raise NothingToDecide(f"{event.type} {event.id} names no {agent.entity.name}: {agent.name} does not see it")
    return entities[0]
