"""What can go wrong between an event and its decision.

AgentError
└── Permanent             dead letter, then go on
    └── DecisionFailed    the agent itself raised, or returned something that is no decision

`tables.event.InvalidEvent` is permanent as well. Errors of the outbox are its own (`outbox.errors`).
"""

from __future__ import annotations


class AgentError(Exception):
    """An agent could not do its work."""


class Permanent(AgentError):
    """Trying again cannot help."""


class DecisionFailed(Permanent):
    """The agent raised while it decided, or returned something that is no decision."""
