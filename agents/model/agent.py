"""Agent: what it listens to, what it remembers and how it decides. Pure: no clock, no I/O, no randomness.

    flaky = Agent(name="flaky", entity=repository, reacts_to=(BuildFailed,), remembers=(...), window=...)

    @flaky.rules
    def judge(build: BuildFailed, history: History) -> Decision: ...

An agent always has rules; it may also say what a language model can choose in their place (`agents.model.choice`).
Deciding fails with `DecisionFailed` alone, whatever the functions raise, or with `OutsidePolicy` when a model is not
permitted what it chose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from agents.model.choice import Choice, Choosing
from agents.model.decision import Decision
from agents.model.entity import Entity
from agents.model.errors import DecisionFailed, OutsidePolicy
from agents.model.event import DomainEvent, event_types
from agents.model.expectation import Expectation, checked
from agents.model.history import History
from tables.window import TypeRing, WindowSpec

#: Types whose last events are kept apart from all others: one, or several together.
Slots = type[DomainEvent] | tuple[type[DomainEvent], ...]

Rules = TypeVar("Rules", bound=Callable[[Any, History], Decision])
Chosen = TypeVar("Chosen", bound=Callable[[Any, Any, History, Decision], Decision])

#: Names become parts of topic names and metric labels.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: What a version may look like: `7`, `1.4.0`, `2026-11-28`.
_VERSION: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9.+-]{0,39})?")
#: Names that would be taken for something else: the consumer of dead letters that reads domain topics, the set of every
#: agent, and the beginning of the names of sets with a shadow.
RESERVED: Final = frozenset({"router", "all", "shadow"})


class Agent:
    """One stream, one window table, one `decide`.

    `name` is the consumer, table and metric name, never derived from a file name. `entity` says whose timeline the
    agent reads. It decides on the types in `reacts_to` and keeps the types in `remembers`; everything else in the
    timeline passes by.

    Types with `slots` are counted apart from the `events` of the window, and by themselves: `{Deployed: 50}` keeps the
    last 50 deployments, however much else happens; `{(Deployed, Configured): 50}` the last 50 of both together. The
    age of the window holds for all. `version` is what its people call the rules as they are now; it stands with every
    decision, beside the hashes that tell on their own what changed. `expects` is what has to follow the events it
    reacts to (`agents.model.expectation`); where it does not in time, that is an event. Raises ValueError when a name
    or a number is not usable, TypeError when something is of another type.
    """

    def __init__(
        self,
        *,
        name: str,
        entity: Entity,
        reacts_to: Sequence[type[DomainEvent]],
        remembers: Sequence[type[DomainEvent]],
        window: WindowSpec,
        slots: Mapping[Slots, int] = MappingProxyType({}),
        version: str = "",
        expects: Sequence[Expectation] = (),
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"agent name {name!r}: expected lower-case letters, digits and _, at most 40")
        if name in RESERVED:
            raise ValueError(f"agent name {name!r}: Innervate itself is called so")
        if not isinstance(entity, Entity):
            raise TypeError(f"agent {name}: entity must be an Entity, got {type(entity).__name__}")
        if not isinstance(window, WindowSpec):
            raise TypeError(f"agent {name}: window must be a WindowSpec, got {type(window).__name__}")
        if not isinstance(version, str):
            raise TypeError(f"agent {name}: version must be a text, got {type(version).__name__}")
        if not _VERSION.fullmatch(version):
            raise ValueError(f"agent {name}: version {version!r}: expected letters, digits, . + and -, at most 40")
        reacts_to = event_types(f"agent {name}: reacts_to", reacts_to)
        remembers = event_types(f"agent {name}: remembers", remembers)
        self.name = name
        self.version = version
        self.entity = entity
        self.window = _with_slots(name, window, remembers, slots)
        #: The models of all it reacts to or remembers, each once.
        self.kinds = tuple(dict.fromkeys((*reacts_to, *remembers)))
        self.reacts_to = frozenset(kind.__name__ for kind in reacts_to)
        self.remembers = frozenset(kind.__name__ for kind in remembers)
        #: What has to follow, and until when.
        self.expects = checked(name, expects, age=window.age, remembers=self.remembers, reacts_to=self.reacts_to)
        #: What a language model may choose; None when there is nothing to choose.
        self.choosing: Choosing | None = None
        self._rules: Callable[[Any, History], Decision] | None = None

    @property
    def has_rules(self) -> bool:
        """Whether it can decide."""
        return self._rules is not None

    @property
    def judging(self) -> Sequence[object]:
        """The functions and the form that it judges by; no decision comes of anything else of it."""
        choosing = self.choosing
        return (self._rules,) if choosing is None else (self._rules, choosing.form, choosing.decide)

    def rules(self, rules: Rules) -> Rules:
        """Decorator: the function that decides, called with the typed event and the history."""
        self._rules = rules
        return rules

    def model(
        self, form: type[Choice], *, on: Sequence[type[DomainEvent]] = (), settled: Collection[str] = ()
    ) -> Callable[[Chosen], Chosen]:
        """Decorator: the function that turns a language model's choice into a decision.

        Called with the filled form, the typed event, the history and what the rules decided. No model is asked about an
        event that is not of a type in `on` (empty: everything reacted to), or whose outcome by the rules is `settled`.
        """

        def register(chosen: Chosen) -> Chosen:
            asked = frozenset(kind.__name__ for kind in on) or self.reacts_to
            self.choosing = Choosing(form=form, on=asked, settled=frozenset(settled), decide=chosen)
            return chosen

        return register

    def by_rules(self, history: History) -> Decision:
        """Decide on the event received. Raises `DecisionFailed`."""
        if self._rules is None:
            raise DecisionFailed(f"agent {self.name} has no rules")
        rules = self._rules
        return self._decided(history, lambda: rules(history.received.data, history))

    def leaves_open(self, history: History, by_rules: Decision) -> bool:
        """Whether a language model has anything to choose after the rules have decided."""
        choosing = self.choosing
        return choosing is not None and history.event.type in choosing.on and by_rules.outcome not in choosing.settled

    def by_choice(self, choice: Choice, history: History, by_rules: Decision) -> Decision:
        """What follows from a model's choice. Raises `OutsidePolicy`, or `DecisionFailed`."""
        if self.choosing is None:
            raise DecisionFailed(f"agent {self.name} leaves nothing to a model")
        decide = self.choosing.decide
        return self._decided(history, lambda: decide(choice, history.received.data, history, by_rules))

    def _decided(self, history: History, decide: Callable[[], Decision]) -> Decision:
        try:
            decision = decide()
            if not isinstance(decision, Decision):
                raise DecisionFailed(f"agent {self.name} returned {type(decision).__name__}, expected a Decision")  # noqa: TRY301 - one answer for every problem
            # Effects are a domain's own: what they say is asked for here, where whatever they raise is the agent's.
            undeclared = history.types.undeclared(decision)
            amounts = [effect.moves_minor for effect in decision.effects]
        except (OutsidePolicy, DecisionFailed):
            raise
        except Exception as error:
            raise DecisionFailed(f"agent {self.name}: {type(error).__name__} while deciding") from error
        if undeclared is not None:
            raise DecisionFailed(f"agent {self.name}: no loaded domain declares {undeclared}")
        if not all(type(amount) is int and amount >= 0 for amount in amounts):
            raise DecisionFailed(f"agent {self.name}: an effect moves a sum that is no integer of 0 or more")
        return decision


def _with_slots(
    name: str, window: WindowSpec, remembers: Sequence[type[DomainEvent]], slots: Mapping[Slots, int]
) -> WindowSpec:
    if not isinstance(slots, Mapping):
        raise TypeError(f"agent {name}: slots must be numbers by event types, got {type(slots).__name__}")
    if not slots:
        return window
    rings = []
    for kinds, events in slots.items():
        types = event_types(f"agent {name}: slots", kinds if isinstance(kinds, tuple) else (kinds,))
        others = [kind.__name__ for kind in types if kind not in remembers]
        if others or not types:
            raise ValueError(f"agent {name}: slots are for types it remembers, got {', '.join(others) or 'none'}")
        if type(events) is not int:
            raise TypeError(f"agent {name}: slots must be a number of events, got {type(events).__name__}")
        rings.append((tuple(kind.__name__ for kind in types), events))
    try:
        return replace(window, rings=tuple(TypeRing(*each) for each in rings))
    except ValueError as error:
        raise ValueError(f"agent {name}: {error}") from None
