"""Choice: what a language model may choose for an agent. The model fills a form; what follows from it is code.

    class FlakyChoice(Choice):
        \"\"\"Judge one failed build. Call it flaky, or broken.\"\"\"

        verdict: Literal["flaky", "broken"]

    @flaky.model(FlakyChoice)
    def chosen(choice: FlakyChoice, build: BuildFailed, history: History, by_rules: Decision) -> Decision: ...

The docstring of a choice is the task the model is given. A form holds words of closed lists, ids of events, and one
sentence for the auditor; never an amount. The function judges the form: it raises `OutsidePolicy` for what the agent
does not permit, and builds effects and events itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agents.model.decision import Decision
from agents.model.history import History
from agents.model.text import one_line


class Choice(BaseModel):
    """A form for a language model. Subclasses add fields and say the task in their docstring."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    #: First, so that a model reasons before it chooses. Kept with the decision, never published.
    rationale: Annotated[
        str,
        AfterValidator(one_line),
        Field(min_length=1, max_length=400, description="One sentence: which events lead to the choice, and why."),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choosing:
    """How a language model decides for an agent."""

    form: type[Choice]
    #: Types of events that leave something to choose.
    on: frozenset[str]
    #: Outcomes of the rules that leave nothing to choose.
    settled: frozenset[str]
    decide: Callable[[Any, Any, History, Decision], Decision]

    @property
    def task(self) -> str:
        """What the model is told to do."""
        return inspect.cleandoc(self.form.__doc__ or "")
