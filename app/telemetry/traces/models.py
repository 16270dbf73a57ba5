"""Models: a span for each request of an agent to a language model, with what it took and nothing of what was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from opentelemetry.context import get_current
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.brains.interview import Client
from agents.model.errors import BrainUnavailable
from app.telemetry.traces import names
from app.telemetry.traces.tracer import Tracer


class TracedClient:
    """Asks by another client (`agents.brains.interview.Client`), within the span of the decision that asks."""

    def __init__(self, client: Client, tracer: Tracer, *, model: str, url: str) -> None:
        self._client = client
        self._tracer = tracer
        address = httpx.URL(url)
        self._name = f"{names.CHAT} {model}"
        self._attributes: dict[str, AttributeValue] = {
            names.GEN_AI_OPERATION: names.CHAT,
            names.GEN_AI_PROVIDER: names.OPENAI,
            names.GEN_AI_REQUEST_MODEL: model,
            names.GEN_AI_OUTPUT_TYPE: "json",
            names.SERVER_ADDRESS: address.host,
            **({names.SERVER_PORT: address.port} if address.port else {}),
        }

    def check(self) -> None:
        """Raise `BrainUnavailable` when nothing would be asked now."""
        self._client.check()

    async def complete(self, prompt: Prompt, schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:
        """Ask. Raises `BrainUnavailable`."""
        span = self._tracer.begin(self._name, get_current(), dict(self._attributes), kind=SpanKind.CLIENT)
        try:
            reply = await self._client.complete(prompt, schema, deadline_seconds=deadline_seconds)
        except BrainUnavailable as error:
            span.set_attribute(names.ERROR_TYPE, str(error.reason))
            span.set_status(Status(StatusCode.ERROR))
            raise
        else:
            counted = {
                names.GEN_AI_RESPONSE_MODEL: reply.model,
                names.GEN_AI_INPUT_TOKENS: reply.prompt_tokens,
                names.GEN_AI_OUTPUT_TOKENS: reply.completion_tokens,
            }
            span.set_attributes({name: value for name, value in counted.items() if value is not None})
            return reply
        finally:
            span.end()
