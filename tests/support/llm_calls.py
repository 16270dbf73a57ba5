"""Calls of a language model, as a journal keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from outbox.journal import LlmCall

NOON: Final = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: The digest of the prompt, unless told otherwise.
PROMPT_SHA256: Final = "ab" * 32


def call(**changes: Any) -> LlmCall:
    """A call with an id of its own and a valid reply."""
    made = LlmCall(
        agent="fraud",
        event_source="urn:shop",
        event_id="pay-1",
        attempt=1,
        model="small",
        prompt_sha256=PROMPT_SHA256,
        prompt="score this",
        reply="approve",
        prompt_tokens=120,
        completion_tokens=8,
        latency_ms=950,
        error=None,
        called_at=NOON,
    )
    return replace(made, **changes)
