"""Decision: what an agent chose and why. A value; nothing happens until it is committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.model.effect import Effect
from agents.model.event import DomainEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What an agent chose, why, and what follows from it.

    Raises ValueError when the outcome is empty or the confidence lies outside 0 to 1, TypeError when something is of
    another type than it says; whatever can be gone through will do for a sequence.
    """

    #: What the agent chose; one short word, the one an operator counts by.
    outcome: str
    #: One sentence for the auditor.
    reason: str
    #: From 0 (a guess) to 1 (certain).
    confidence: float = 1.0
    #: State changes to make with the decision; their own events are published before those of `emit`.
    effects: Sequence[Effect] = ()
    #: Events to publish with the decision, in this order.
    emit: Sequence[DomainEvent] = ()
    #: Why a person has to agree before anything happens, in one short word; None when nobody has to.
    hold: str | None = None
    #: Events to publish when that person says no, or nobody answers in time, in place of all the above.
    otherwise: Sequence[DomainEvent] = ()

    @property
    def events(self) -> Sequence[DomainEvent]:
        """Everything to publish, in this order."""
        return [*(event for effect in self.effects for event in effect.events()), *self.emit]

    def __post_init__(self) -> None:
        for name, text in (("outcome", self.outcome), ("reason", self.reason), ("hold", self.hold)):
            if not isinstance(text, str) and (name != "hold" or text is not None):
                raise TypeError(f"{name} must be a text, got {type(text).__name__}")
        for name, given, kind in (
            ("effects", self.effects, Effect),
            ("emit", self.emit, DomainEvent),
            ("otherwise", self.otherwise, DomainEvent),
        ):
            if given == ():
                continue
            # An iterator would be empty for whoever goes through it second.
            members = given if isinstance(given, list | tuple) else tuple(given)
            if strange := [type(member).__name__ for member in members if not isinstance(member, kind)]:
                raise TypeError(f"{name} must be a sequence of {kind.__name__}, got {strange[0]} in it")
            object.__setattr__(self, name, members)
        if not self.outcome:
            raise ValueError("a decision needs an outcome")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence must be within 0..1, got {self.confidence}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A decision and the brain that made it."""

    decision: Decision
    #: `rules`, or the language model by the name it is configured with.
    brain: str
    #: The language model that was asked, by its own name; None when none answered.
    model: str | None = None
    #: Why the rules decided although a model was to be asked; None when nobody fell back.
    fallback_reason: str | None = None
    #: Why a person has to agree first, in one short word; None when nobody has to.
    hold: str | None = None
