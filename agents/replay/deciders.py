"""Deciders: who decides in a replay.

    RecordedDecider   whoever decided then, by what was recorded of them: deterministic, asks nobody
    RulesDecider      the rules of the agents
    BrainDecider      brains of the caller's, such as another language model

Where a language model decided, `RecordedDecider` puts the replies of the journal through the code that judges a reply
live. A reply is found by the hash of its prompt. When the agent or its form has changed the prompt has too; then the
newest reply that fills the form today stands for it. Without one the rules decide, with `not_recorded` as the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Protocol, TypeVar, cast

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.brains.interview import Filled, Interviewer
from agents.brains.model import INTERNAL_ERROR, ModelBrain, SecondOpinion
from agents.brains.redaction import Redaction
from agents.brains.structured import parse_reply
from agents.engine.brain import RULES, Brain
from agents.model.agent import Agent
from agents.model.choice import Choice
from agents.model.decision import Verdict
from agents.model.errors import BrainUnavailable, Rejected, Unavailable
from agents.model.history import History
from agents.replay.records import RecordedDecision
from outbox.budget import Reservation
from outbox.journal import LlmCall, StoredReply

#: Why the rules decide in a replay where a language model decided then: no reply is there that fills the form.
NOT_RECORDED: Final = "not_recorded"

#: Why the rules decided then without a reply to judge.
_UNANSWERED: Final = frozenset({*Unavailable, INTERNAL_ERROR})

C = TypeVar("C", bound=Choice)


class Decider(Protocol):
    """Decides for every agent of a replay."""

    async def decide(self, agent: Agent, history: History, recorded: RecordedDecision | None) -> Verdict:
        """Decide on `history.event`; `recorded` is what was decided then. Raises as a brain does."""


class RulesDecider:
    """Decides by rules."""

    async def decide(self, agent: Agent, history: History, recorded: RecordedDecision | None) -> Verdict:  # noqa: ARG002
        """Decide by the agent's own."""
        return Verdict(decision=agent.by_rules(history), brain=RULES)


class BrainDecider:
    """Decides by brains made for this replay; `brain_of` is asked once for each agent."""

    def __init__(self, brain_of: Callable[[Agent], Brain]) -> None:
        self._brain_of = brain_of
        self._brains: dict[str, Brain] = {}

    async def decide(self, agent: Agent, history: History, recorded: RecordedDecision | None) -> Verdict:  # noqa: ARG002
        """Decide by the agent's brain."""
        if agent.name not in self._brains:
            self._brains[agent.name] = self._brain_of(agent)
        return await self._brains[agent.name].decide(history)


class RecordedDecider:
    """Decides as it was decided. `redaction` is the one prompts were written with."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    async def decide(self, agent: Agent, history: History, recorded: RecordedDecision | None) -> Verdict:
        """Decide by the recorded replies, or by the rules where no model was asked."""
        if recorded is None or not _was_asked(recorded):
            return Verdict(decision=agent.by_rules(history), brain=RULES)
        if recorded.fallback_reason in _UNANSWERED:
            # A reply may be in the journal all the same: it came when nobody waited for it any more.
            return Verdict(decision=agent.by_rules(history), brain=RULES, fallback_reason=recorded.fallback_reason)
        recall = _Recall(recorded)
        brain = SecondOpinion if _is_second_opinion(recorded) else ModelBrain
        # It has all that a brain wants of an interviewer.
        verdict = await brain(agent, cast("Interviewer", recall), self._redaction).decide(history)
        if recall.found_nothing:
            verdict = replace(verdict, fallback_reason=NOT_RECORDED)
        return verdict


def _was_asked(recorded: RecordedDecision) -> bool:
    return recorded.brain != RULES or recorded.model is not None or recorded.fallback_reason is not None


def _is_second_opinion(recorded: RecordedDecision) -> bool:
    return recorded.brain == RULES and recorded.model is not None and recorded.fallback_reason is None


class _Recall:
    """In place of an interviewer: fills forms by what was said."""

    def __init__(self, recorded: RecordedDecision) -> None:
        self._recorded = recorded
        #: The name by which the model was asked, where that was recorded.
        self.model = recorded.model or RULES if recorded.brain == RULES else recorded.brain
        self.found_nothing = False

    async def fill(self, agent: str, event: tuple[str, str], prompt: Prompt, form: type[C]) -> Filled[C]:
        """Find the reply to this prompt, or another that fits; raises as an interviewer does."""
        interviewer = Interviewer(
            _Silent(),
            model=self.model,
            budget=_Nothing(),
            journal=_Recorded(self._recorded.replies),
            deadline_seconds=1,
            reply_tokens=0,
            now=lambda: datetime.now(UTC),
        )
        try:
            return await interviewer.fill(agent, event, prompt, form)
        except BrainUnavailable:
            found = _newest(self._recorded.replies, form)
            if found is None:
                self.found_nothing = True
                raise
            return found


def _newest(replies: Sequence[StoredReply], form: type[C]) -> Filled[C] | None:
    for reply in reversed(replies):
        try:
            return Filled(parse_reply(reply.reply, form), reply.model)
        except Rejected:
            continue
    return None


class _Recorded:
    """The journal of one event, read only."""

    def __init__(self, replies: Sequence[StoredReply]) -> None:
        self._replies = {reply.prompt_sha256: reply for reply in replies}

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:  # noqa: ARG002
        return self._replies

    async def record(self, call: LlmCall) -> NoReturn:
        raise AssertionError(f"a replay asked about event {call.event_id}")


class _Silent:
    """A client that asks nobody."""

    def check(self) -> NoReturn:
        # Any reason will do, it is replaced by the recorded one.
        raise BrainUnavailable(Unavailable.CONNECTION, "a replay asks nobody")

    async def complete(self, prompt: Prompt, schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:  # noqa: ARG002
        self.check()


class _Nothing:
    """A budget of nothing."""

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:  # noqa: ARG002
        return None

    async def settle(self, reservation: Reservation, used_tokens: int) -> NoReturn:  # noqa: ARG002
        raise AssertionError(f"a replay reserved tokens of {reservation.agent}")
