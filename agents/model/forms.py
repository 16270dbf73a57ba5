"""Fields: what the forms have in common, and how a choice becomes the reason of a decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.errors import OutsidePolicy, Violation

#: Why a decision waits for a person when a model would not do what the rules do.
DOUBTFUL: Final = "doubtful"

#: Why a decision waits for a person when a model alone takes back what the rules found.
DOWNGRADE: Final = "downgrade"

#: The id of an event, as long as ids may be.
EventId = Annotated[str, Field(min_length=1, max_length=256)]

#: Probability, 0 to 1.
Sureness = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="How sure you are, from 0, a guess, to 1, certain.")
]


def told(chosen: str, by_rules: Decision, choice: Choice) -> str:
    """The reason of a decision: what was chosen and what the rules said, in our words, and why, in the model's."""
    return f"{chosen}, by the rules {by_rules.outcome}; a model says: {choice.rationale}"


def downgraded(decision: Decision, by_rules: Decision) -> Decision:
    """The same decision, if a person agrees; else what the rules say is published after all."""
    return replace(decision, hold=DOWNGRADE, otherwise=by_rules.events)


def not_permitted(detail: str) -> OutsidePolicy:
    """What is raised for a choice that policy does not permit; `detail` is in our words."""
    return OutsidePolicy(Violation.NOT_PERMITTED, detail)


def unknown_event(detail: str) -> OutsidePolicy:
    """What is raised for an event that the agent does not remember; `detail` is in our words."""
    return OutsidePolicy(Violation.UNKNOWN_EVENT, detail)
