"""Chains: what follows from one event, decision by decision, and how far it may go.

Agents that answer each other would run for ever. A message says how many decisions led to it and which correlation it
belongs to (`chaindepth`, `correlationid`); a decision that would lengthen a chain beyond a limit, or a correlation
beyond a number of messages, is written as refused: it publishes nothing and does nothing.

The messages of a correlation are counted in its decisions: each row that publishes something in answer to an agent has
the number reached with it, so the next one asks for the largest, in the statement that writes it. Workers that write to
one correlation at the same moment may count some messages once; the limit is one on floods, not an account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from outbox.records import DecisionRecord

#: Decisions in a row. The simulated domain needs 3, from an error over its service to its recovery; own choice.
MOST_DECISIONS: Final = 16
#: Messages of one correlation in answer to agents. An incident brings three or four for each entity it names, and a
#: window holds a thousand of those at most; own choice.
MOST_MESSAGES: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainLimits:
    """How far a chain may go."""

    #: How deep a message may be: decisions in a row that led to it.
    decisions: int = MOST_DECISIONS
    #: How many messages one correlation may have in answer to agents' messages.
    messages: int = MOST_MESSAGES

    def applied_to(self, record: DecisionRecord) -> DecisionRecord:
        """The decision, refused when it lengthens a chain that is as long as it may be."""
        acts = record.messages or record.effects or record.otherwise
        if record.status in {"committed", "held"} and acts and record.chain_depth >= self.decisions:
            return replace(record, status="refused", effects=(), hold=None, otherwise=())
        return record

    def refusal(self, record: DecisionRecord, fan_out: int | None) -> str:
        """One line for a person: which chain, where it was cut, and what the limits are."""
        return (
            f"correlation {record.correlation_id}: {record.agent} would answer {record.event_type} {record.event_id} of"
            f" {record.event_source}, {record.chain_depth} decisions deep (at most {self.decisions}), with message"
            f" {fan_out or 0} of the correlation (at most {self.messages})"
        )
