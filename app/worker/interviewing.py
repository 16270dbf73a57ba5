"""Interviewing by the settings: the client of a model and who asks it, for workers and for replays."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agents.brains.interview import Budget, Client, Interviewer, Journal
from agents.brains.places import Places
from agents.brains.server import REPLY_BYTES, Limits, Server
from app.settings import Settings

if TYPE_CHECKING:
    from agents.brains.client import ChatClient

#: More than a token takes in an answer: a character of JSON may be six bytes, and a token is some four characters.
_BYTES_PER_TOKEN: Final = 32


def limits_of(settings: Settings, *, queue: int) -> Limits:
    """How much a request may take; `queue` requests may wait for a place."""
    tokens = settings.llm_reply_tokens
    return Limits(
        attempt_seconds=settings.llm_timeout_seconds,
        concurrency=settings.llm_concurrency,
        queue=queue,
        reply_tokens=tokens,
        reply_bytes=max(REPLY_BYTES, tokens * _BYTES_PER_TOKEN),
    )


def client_of(settings: Settings, model: str, limits: Limits, places: Places | None = None) -> ChatClient:
    """A client of this model at `LLM_URL`."""
    from agents.brains.client import ChatClient  # noqa: PLC0415 - a worker that asks no model needs no HTTP client

    # A line for each request would drown everything else.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return ChatClient(Server(url=settings.llm_url, model=model, api_key=settings.llm_api_key), limits, places)


def interviewer_of(
    settings: Settings, client: Client, model: str, limits: Limits, *, budget: Budget, journal: Journal
) -> Interviewer:
    """Who asks this model by the client, by the clock of this machine."""
    return Interviewer(
        client,
        model=model,
        budget=budget,
        journal=journal,
        deadline_seconds=settings.llm_deadline_seconds,
        reply_tokens=limits.reply_tokens,
        now=lambda: datetime.now(UTC),
    )
