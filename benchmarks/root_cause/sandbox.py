"""Sandbox: stories on a real worker, Kafka and PostgreSQL, one after another on the same services."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg2
from aiokafka import AIOKafkaProducer

from agents.platform.domain import platform
from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from benchmarks.root_cause.playing import Happened, Played
from benchmarks.root_cause.questions import Story, prefixed

#: The worker of a sandbox knows nothing else.
SETTINGS: Final = {"DOMAINS": "agents.platform:platform"}
#: Ends a run that would hang, many times what a story takes.
_PATIENCE_SECONDS: Final = 900.0

#: How many answers are outstanding: of each agent to what was sent and to what agents said of these services, and what
#: of that is not in Kafka. Others may have worked on the same services and left something.
_LEFT: Final = """
    WITH told (id, type) AS (
        SELECT * FROM unnest(%(ids)s::text[], %(types)s::text[])
        UNION ALL
        SELECT message ->> 'id', message -> 'value' ->> 'type'
        FROM whole_decisions, jsonb_array_elements(whole_messages) AS message
        WHERE starts_with(entity_id, %(prefix)s)
    )
    SELECT (SELECT count(*) FROM outbox_messages JOIN told ON message_id = id) + (
        SELECT count(*)
        FROM told JOIN unnest(%(agents)s::text[], %(reacts_to)s::text[]) AS reaction (agent, type) USING (type)
        WHERE NOT EXISTS (SELECT FROM decisions AS made WHERE made.agent = reaction.agent AND made.event_id = told.id)
    )
"""
_SAID: Final = """
    SELECT message -> 'value'
    FROM whole_decisions, jsonb_array_elements(whole_messages) WITH ORDINALITY AS m (message, place)
    WHERE starts_with(entity_id, %s) ORDER BY partition, "offset", place
"""


def play_on_a_sandbox(stories: Sequence[Story], provider: str) -> Sequence[Played]:
    """Play each story with names and ids of its own; raises TimeoutError when the worker does not come to rest.

    What comes of each is named as in the story again.
    """
    with (
        tempfile.TemporaryDirectory(prefix="root-cause-") as name,
        Sandbox(Path(name) / "sandbox", provider) as sandbox,
    ):
        worker = WorkerProcess(sandbox, Path(name) / "worker", SETTINGS)
        try:
            worker.start()
            return [_played(sandbox, story, f"{number}/") for number, story in enumerate(stories)]
        finally:
            worker.release()


def _played(sandbox: Sandbox, story: Story, prefix: str) -> Played:
    events = prefixed(story, prefix).events
    asyncio.run(send(sandbox.kafka, events))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while count := left(sandbox.database_url, events, prefix):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{story.name}: {count} answers are missing after {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.2)
    content = orjson.dumps(said(sandbox.database_url, prefix)).replace(f'"{prefix}'.encode(), b'"')
    return Played.of(orjson.loads(content))


async def send(kafka: str, events: Iterable[Happened]) -> None:
    """Send in this order, each when the one before it is in Kafka."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for event in events:
            key = str(event["data"]["service"]).encode()
            await producer.send_and_wait("platform", key=key, value=orjson.dumps(event))


def left(database_url: str, events: Iterable[Happened], prefix: str) -> int:
    """How much is still to be decided or published of what follows from these events; 0: the agents are at rest.

    The names of their services begin with the prefix, and nobody else's do.
    """
    told = list(events)
    reactions = [(agent.name, each) for agent in platform.agents for each in agent.reacts_to]
    [(count,)] = _rows(
        database_url,
        _LEFT,
        {
            "prefix": prefix,
            "ids": [event["id"] for event in told],
            "types": [event["type"] for event in told],
            "agents": [agent for agent, _ in reactions],
            "reacts_to": [each for _, each in reactions],
        },
    )
    return int(count)


def said(database_url: str, prefix: str) -> Sequence[Happened]:
    """What the agents have said of services whose names begin so, those of a service in the order they were decided."""
    return [value for (value,) in _rows(database_url, _SAID, (prefix,))]


def _rows(database_url: str, query: str, parameters: Any) -> list[tuple[Any, ...]]:
    with contextlib.closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
