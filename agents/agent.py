"""Agent: what it listens to, what it remembers and how it decides. Pure: no clock, no I/O, no randomness.

    fraud = Agent(name="fraud", entity="customer", reacts_to=(PaymentSucceeded,), remembers=(...), window=...)

    @fraud.rules
    def score(payment: PaymentSucceeded, history: History) -> Decision: ...

Deciding fails with `DecisionFailed` alone, whatever the rules raise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from agents.decision import Decision, Verdict
from agents.errors import DecisionFailed
from agents.events import DomainEvent, parse_data
from agents.history import History
from agents.routing import ENTITIES, Entity
from tables.window import WindowSpec

Rules = TypeVar("Rules", bound=Callable[[Any, History], Decision])

#: Names become parts of topic names and metric labels.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Agent:
    """One stream, one window table, one `decide`.

    `name` is the consumer, table and metric name, never derived from a file name. `entity` says whose timeline the
    agent reads. It decides on the types in `reacts_to` and keeps the types in `remembers`; everything else in the
    timeline passes by. Raises ValueError when a name is not usable.
    """

    def __init__(
        self,
        *,
        name: str,
        entity: Entity,
        reacts_to: Sequence[type[DomainEvent]],
        remembers: Sequence[type[DomainEvent]],
        window: WindowSpec,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"agent name {name!r}: expected lower-case letters, digits and _, at most 40")
        if entity not in ENTITIES:
            raise ValueError(f"agent {name}: entity {entity!r} is not one of {', '.join(ENTITIES)}")
        self.name = name
        self.entity = entity
        self.window = window
        self.reacts_to = frozenset(kind.__name__ for kind in reacts_to)
        self.remembers = frozenset(kind.__name__ for kind in remembers)
        self._rules: Callable[[Any, History], Decision] | None = None

    def rules(self, rules: Rules) -> Rules:
        """Decorator: the function that decides, called with the typed event and the history."""
        self._rules = rules
        return rules

    async def decide(self, history: History) -> Verdict:
        """Decide on `history.event`. Raises `DecisionFailed`, or `InvalidEvent` when its data is not of its type."""
        if self._rules is None:
            raise DecisionFailed(f"agent {self.name} has no rules")
        event = parse_data(history.event)
        try:
            decision = self._rules(event, history)
        except Exception as error:
            raise DecisionFailed(f"agent {self.name}: {type(error).__name__} while deciding") from error
        if not isinstance(decision, Decision):
            raise DecisionFailed(f"agent {self.name} returned {type(decision).__name__}, expected a Decision")
        return Verdict(decision=decision, brain="rules")
