"""Language models as brains: in place of an agent's rules, or beside them as a second opinion.

The rules decide first; they are quick, and ready when the model is not. A model is asked only where the agent leaves
something open. Whatever it does, or does not do, there is a decision: the rules' own, with the reason of the fallback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

from agents.brains.interview import C, Filled, Interviewer
from agents.brains.prompt import prompt_for
from agents.brains.redaction import Redaction
from agents.engine.brain import RULES
from agents.engine.record import log_fields
from agents.model.agent import Agent
from agents.model.decision import Decision, Verdict
from agents.model.errors import BrainUnavailable, DecisionFailed, OutsidePolicy, Rejected, Unavailable
from agents.model.event import DomainEvent
from agents.model.history import History

log = logging.getLogger(__name__)

#: Fallback reasons of our own making: the agent's function failed on the choice, or something here did.
CHOICE_FAILED: Final = "choice_failed"
INTERNAL_ERROR: Final = "internal_error"
#: Why a decision is held when the model would decide otherwise.
SECOND_OPINION: Final = "second_opinion"


class ModelBrain:
    """Decides for one agent by a language model."""

    def __init__(self, agent: Agent, interviewer: Interviewer, redaction: Redaction) -> None:
        self._agent = agent
        self._interviewer = interviewer
        self._redaction = redaction

    def decide_now(self, history: History) -> Verdict | None:
        """Decide by the rules where they leave nothing to the model."""
        by_rules = self._agent.by_rules(history)
        return None if self._agent.leaves_open(history, by_rules) else Verdict(decision=by_rules, brain=RULES)

    async def decide(self, history: History, crowded: asyncio.Event | None = None) -> Verdict:
        """Decide by the model's choice, or by the rules when there is none to go by, or no time for it."""
        by_rules = self._agent.by_rules(history)
        choosing = self._agent.choosing
        if choosing is None or not self._agent.leaves_open(history, by_rules):
            return Verdict(decision=by_rules, brain=RULES)
        if crowded is not None and crowded.is_set():
            # No prompt is written that nobody would read.
            return _fallback(by_rules, str(Unavailable.BUSY), None)
        model = None
        try:
            prompt = prompt_for(self._agent, history, self._redaction)
            filling = self._interviewer.fill(self._agent.name, history.event.key, prompt, choosing.form)
            filled = await _unless(crowded, filling)
            model = filled.model
            decision = self._agent.by_choice(filled.choice, history, by_rules)
        except (BrainUnavailable, Rejected, OutsidePolicy) as error:
            return _fallback(by_rules, str(error.reason), model)
        except DecisionFailed:
            log.exception(
                "agent %s cannot read a choice about event %s",
                self._agent.name,
                history.event.id,
                extra=log_fields(self._agent.name, history.event),
            )
            return _fallback(by_rules, CHOICE_FAILED, model)
        except Exception:
            # Nothing about a model may stop a worker: its next start would meet the same event.
            log.exception(
                "agent %s cannot ask about event %s",
                self._agent.name,
                history.event.id,
                extra=log_fields(self._agent.name, history.event),
            )
            return _fallback(by_rules, INTERNAL_ERROR, model)
        return self._verdict(decision, by_rules, model)

    def _verdict(self, decision: Decision, by_rules: Decision, model: str | None) -> Verdict:  # noqa: ARG002
        return Verdict(decision=decision, brain=self._interviewer.model, model=model)


class SecondOpinion(ModelBrain):
    """Decides by the rules, and asks for a person where a language model would decide otherwise."""

    def _verdict(self, decision: Decision, by_rules: Decision, model: str | None) -> Verdict:
        if _agrees(decision, by_rules):
            return Verdict(decision=by_rules, brain=RULES, model=model)
        reason = f"{by_rules.reason}; {model} would decide {decision.outcome}: {decision.reason}"
        return Verdict(decision=replace(by_rules, reason=reason), brain=RULES, model=model, hold=SECOND_OPINION)


def _agrees(decision: Decision, by_rules: Decision) -> bool:
    """Whether the model has nothing against what the rules do: their outcome, their effects, their culprits.

    How sure it is, and how it scores or words the same thing, makes no difference to anybody.
    """
    return (
        decision.hold is None
        and decision.outcome == by_rules.outcome
        and list(decision.effects) == list(by_rules.effects)
        and _named(decision) == _named(by_rules)
    )


def _named(decision: Decision) -> Sequence[tuple[type[DomainEvent], str | None]]:
    return [(type(event), getattr(event, "culprit_event_id", None)) for event in decision.emit]


async def _unless(crowded: asyncio.Event | None, filling: Coroutine[Any, Any, Filled[C]]) -> Filled[C]:
    """Its result, unless it is crowded before: then it is given up. Raises `BrainUnavailable` (busy)."""
    asking = asyncio.ensure_future(filling)
    waiting = asyncio.ensure_future((crowded or asyncio.Event()).wait())
    try:
        await asyncio.wait({asking, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            return asking.result()
        raise BrainUnavailable(Unavailable.BUSY, "too many events of the entity wait")
    finally:
        asking.cancel()
        waiting.cancel()
        await asyncio.gather(asking, waiting, return_exceptions=True)


def _fallback(by_rules: Decision, reason: str, model: str | None) -> Verdict:
    return Verdict(decision=by_rules, brain=RULES, model=model, fallback_reason=reason)
