"""Followers: all that follow the events of one worker, with the tracer they share."""

from __future__ import annotations

import asyncio
import logging

from agents.brains.interview import Client
from app.telemetry.traces.following import DecisionTraces, PublishTraces, RouterTraces
from app.telemetry.traces.logged import SpanIds
from app.telemetry.traces.models import TracedClient
from app.telemetry.traces.tracer import STOP_SECONDS, Tracer


class Followers:
    """One for each part of a worker."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.router = RouterTraces(tracer)
        self.decisions = DecisionTraces(tracer)
        self.messages = PublishTraces(tracer)
        #: Has what is logged say in which span.
        self.logged: logging.Filter = SpanIds()

    def client(self, client: Client, *, model: str, url: str) -> TracedClient:
        """The client of a model, followed."""
        return TracedClient(client, self._tracer, model=model, url=url)

    async def stop(self) -> None:
        """Export what is left, as far as that goes soon: a collector that is away holds nobody up."""
        await asyncio.to_thread(self._tracer.stop().join, STOP_SECONDS)
