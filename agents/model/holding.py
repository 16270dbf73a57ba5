"""Holding: when a decision has to wait until a person agrees. Pure; a policy is an operator's choice, as a value.

What is held depends on the decision alone, so the same event is held again when it is decided again.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from agents.model.decision import Decision


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldPolicy:
    """Which decisions of one agent wait for a person, beside those for which the agent asks itself.

    Raises ValueError when the sum is negative or the confidence lies outside 0 to 1.
    """

    #: The effects of one decision together may move this sum of minor units without a person, whatever the currencies.
    #: None: any sum may.
    moves_over_minor: int | None = None
    #: A decision that publishes or does something needs this confidence to go without a person. None: any will do.
    confidence_under: float | None = None
    #: Decisions with these outcomes always wait.
    outcomes: AbstractSet[str] = frozenset()

    def __post_init__(self) -> None:
        if self.moves_over_minor is not None and self.moves_over_minor < 0:
            raise ValueError(f"a sum must be 0 or more, got {self.moves_over_minor}")
        if self.confidence_under is not None and not 0 <= self.confidence_under <= 1:
            raise ValueError(f"confidence must be within 0..1, got {self.confidence_under}")

    def reason(self, decision: Decision) -> str | None:
        """Why a person has to agree, in one short word; None when nobody has to. The agent's own reason comes first."""
        if decision.hold is not None:
            return decision.hold
        if self.moves_over_minor is not None and _moved_minor(decision) > self.moves_over_minor:
            return "amount"
        if self.confidence_under is not None and decision.confidence < self.confidence_under and _acts(decision):
            return "confidence"
        return "outcome" if decision.outcome in self.outcomes else None


def _moved_minor(decision: Decision) -> int:
    return sum(effect.moves_minor for effect in decision.effects)


def _acts(decision: Decision) -> bool:
    return bool(decision.effects or decision.emit)
