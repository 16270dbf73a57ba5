"""What can go wrong between an event and its decision; drawn in `tables.errors`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from tables.errors import InnervateError, Permanent, Transient


class Unavailable(StrEnum):
    """Why a model gave no reply to judge: the closed set that fallbacks are counted by."""

    #: The server took too long to answer, or stopped in the middle of it.
    TIMEOUT = "timeout"
    #: All places of this worker were taken for too long; the server was not asked.
    BUSY = "busy"
    #: The server says that it is asked too often.
    RATE_LIMITED = "rate_limited"
    #: The server failed, 5xx.
    SERVER_ERROR = "server_error"
    #: No connection, or it was cut.
    CONNECTION = "connection"
    #: What came is no chat completion.
    MALFORMED = "malformed"
    #: The server does not accept such requests: the key, the model or the address is wrong, or the prompt too long.
    BAD_REQUEST = "bad_request"
    #: The model declined, or a filter removed its answer.
    REFUSED = "refused"
    #: The answer was longer than allowed, in tokens or in bytes.
    TOO_LONG = "too_long"
    #: The server failed too often lately; it was not asked.
    CIRCUIT_OPEN = "circuit_open"
    #: The agent's tokens for the day are used or reserved; the server was not asked.
    BUDGET_SPENT = "budget_spent"


#: The server failed: another attempt may do better, and its circuit counts it. With the other reasons the server did
#: answer, or was not asked.
SERVER_FAILURES: Final = frozenset(
    {
        Unavailable.TIMEOUT,
        Unavailable.RATE_LIMITED,
        Unavailable.SERVER_ERROR,
        Unavailable.CONNECTION,
        Unavailable.MALFORMED,
    }
)


class RejectedReply(StrEnum):
    """Why a model's reply cannot be used: the closed set that fallbacks are counted by."""

    #: No whole JSON object is in the reply.
    NOT_JSON = "not_json"
    #: Several different objects would do; which one is meant is not guessed.
    AMBIGUOUS = "ambiguous"
    #: The object breaks the schema.
    INVALID = "invalid"


class Violation(StrEnum):
    """Why a choice is outside an agent's policy: the closed set that fallbacks are counted by."""

    #: It names an event that the agent does not remember.
    UNKNOWN_EVENT = "unknown_event"
    #: The agent does not permit it in this case.
    NOT_PERMITTED = "not_permitted"


class BrainUnavailable(Transient):
    """A model gave no reply to judge; the rules decide.

    `retry_after_seconds` is how long the server asked to be left alone, None when it did not say.
    """

    def __init__(self, reason: Unavailable, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        #: Attempts that the server may have counted tokens for without telling anybody.
        self.unanswered = 0


class Rejected(InnervateError):
    """A model's reply is not what was asked for. `problems` are sentences without a word of the reply in them."""

    def __init__(self, reason: RejectedReply, problems: Sequence[str]) -> None:
        super().__init__(f"{reason}: {'; '.join(problems)}")
        self.reason = reason
        self.problems = tuple(problems)


class OutsidePolicy(InnervateError):
    """A model chose what the agent does not permit. `detail` is in our words, without a word of the reply."""

    def __init__(self, reason: Violation, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class DecisionFailed(Permanent):
    """The agent raised while it decided, or returned something that is no decision."""

    reason = "decision_failed"
