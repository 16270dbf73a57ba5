"""What a person is shown of a held decision, and what they may answer: the same by HTTP and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from agents.model.text import escaped, is_plain
from outbox.approvals import Approval
from outbox.content import readable
from outbox.records import KnownEffects


def _printable(text: str) -> str:
    if not is_plain(text):
        raise ValueError("only printable characters")
    return text


class SignedForm(BaseModel):
    """What somebody asks for who says who they are. Raises pydantic's `ValidationError`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    #: Who asks, by their own account.
    by: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
    ]


class AnswerForm(SignedForm):
    """An answer. Raises pydantic's `ValidationError`."""

    #: The whole hash of what the answer is given to, in lower-case hex.
    content_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def expected(error: ValidationError) -> str:
    """What is wrong with an answer, in one line; the first of it when there is more."""
    found = error.errors()[0]
    return escaped(f"{'.'.join(map(str, found['loc']))[:40] or 'body'}: {found['msg']}")


def summary(approval: Approval) -> Mapping[str, Any]:
    """One line of the list of what waits."""
    decision = approval.decision
    return {
        "id": str(approval.decision_id),
        "agent": decision.agent,
        "event_source": decision.event_source,
        "event_id": decision.event_id,
        "entity": decision.entity,
        "entity_id": decision.entity_id,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "confidence": decision.confidence,
        "brain": decision.brain,
        "hold_reason": approval.reason,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "content_sha256": approval.content_sha256,
    }


def shown(approval: Approval, known: KnownEffects) -> Mapping[str, Any]:
    """Everything about an approval but its decision; `known` are the effects of the loaded domains."""
    return {
        "reason": approval.reason,
        "content": readable(approval.content, known),
        "content_sha256": approval.content_sha256,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "answer": approval.answer,
        "answered_by": approval.answered_by,
        "answered_at": approval.answered_at,
    }
