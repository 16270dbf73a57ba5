"""A scripted model and a client of it, for tests that speak real HTTP to a model's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from pydantic import SecretStr

from agents.brains.client import ChatClient, Limits, Prompt, Server
from app.scripted_model.misbehaviour import Misbehave
from app.scripted_model.server import Answer, Ask, Refuse, Say, Script, ScriptedModel

__all__ = ["HASTY", "Misbehave", "Prompt", "Refuse", "Say", "asking", "first", "one_after_another"]

#: No test waits for long; those that need a limit set it.
HASTY = Limits(attempts=3, first_wait_seconds=0.001, wait_cap_seconds=0.001, circuit_failures=100)


def one_after_another(*answers: Answer) -> Script:
    """Give these answers in order, and the last for ever."""
    remaining = list(answers)
    return lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0]


def first(failures: int, answer: Answer, then: Answer) -> Script:
    """Give `answer` to that many requests, then `then`."""
    return one_after_another(*[answer] * failures, then)


@asynccontextmanager
async def asking(
    script: Script | Answer, *, api_key: str | None = None, **limits: float
) -> AsyncIterator[tuple[ChatClient, ScriptedModel]]:
    """A client with hasty limits, changed by `limits`, and the server it asks."""

    def always(_: Ask) -> Answer:
        assert not callable(script)
        return script

    async with ScriptedModel(script if callable(script) else always) as model:
        server = Server(url=model.url, model="tiny", api_key=SecretStr(api_key) if api_key is not None else None)
        async with ChatClient(server, replace(HASTY, **limits)) as client:  # type: ignore[arg-type]
            yield client, model
