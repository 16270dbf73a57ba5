"""Decisions that wait for a person, on a whole worker: from the answer, or from nobody's, to the topic."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from observe import eventually, get, read, rows
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from outbox.database import Database
from outbox.records import DecisionRecord, Hold, Message, Origin
from outbox.writer import DecisionWriter
from tables.event import Event, to_json

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def message(message_id: str) -> Message:
    """An event of an agent that concerns nobody."""
    event = Event(id=message_id, source="urn:innervate:agent:recovery", type="NothingHappened", time=NOON, data={})
    return Message(id=message_id, topic="recovery", key=b"waited", value=to_json(event))


def held(event_id: str, expires_in: timedelta) -> DecisionRecord:
    hold = Hold(reason="amount", expires_in=expires_in, otherwise=(message(f"otherwise-{event_id}"),))
    return DecisionRecord(
        # No agent of ours: others replay what ours decided.
        agent="nobody",
        event_id=event_id,
        event_source="urn:shop",
        event_type="NothingHappened",
        event_at=NOON,
        entity="order",
        entity_id="waited",
        origin=Origin(topic="timeline-order", partition=0, offset=0, at=NOON),
        history={"offsets": [], "sha256": ""},
        brain="rules",
        model=None,
        outcome="nothing",
        reason="a person has to agree",
        confidence=1.0,
        fallback_reason=None,
        status="held",
        decided_at=NOON,
        messages=(message(f"done-{event_id}"),),
        hold=hold,
    )


def write(sandbox: Sandbox, record: DecisionRecord) -> None:
    async def run() -> None:
        database = Database(sandbox.database_url)
        writer = DecisionWriter(database, on_commit=lambda _lanes: None)
        await writer.record(record)
        await writer.stop()
        await database.close()

    asyncio.run(run())


def post(url: str, body: dict[str, str]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
        return json.load(response)


def published(sandbox: Sandbox, event_id: str) -> list[str]:
    """The ids of what is in Kafka by this decision."""
    values = [record.value or b"" for record in read(sandbox.kafka, "recovery")]
    return [json.loads(value)["id"] for value in values if b'-%s"' % event_id.encode() in value]


@pytest.mark.parametrize(("answer", "due"), [("approve", "done"), ("reject", "otherwise")])
def test_what_a_person_answers_is_published_by_the_worker(
    sandbox: Sandbox, worker: WorkerProcess, answer: str, due: str
) -> None:
    record = held(f"held-{answer}", timedelta(days=1))
    write(sandbox, record)
    [waiting] = get(worker.url, "/approvals")[1]["approvals"]
    assert waiting["id"] == str(record.id)
    assert published(sandbox, record.event_id) == []

    body = {"content_sha256": waiting["content_sha256"], "by": "ada"}
    answered = post(f"{worker.url}/decisions/{record.id}/{answer}", body)

    assert answered["answered_by"] == "ada"
    found = eventually(lambda: published(sandbox, record.event_id))
    assert found == [f"{due}-{record.event_id}"]


def test_what_nobody_answers_is_expired_by_the_worker(sandbox: Sandbox, worker: WorkerProcess) -> None:
    record = held("held-expired", timedelta(0))
    write(sandbox, record)

    assert eventually(lambda: published(sandbox, record.event_id)) == ["otherwise-held-expired"]
    status = "SELECT status, answer FROM decisions JOIN approvals ON decision_id = id WHERE event_id = %s"
    assert rows(sandbox.database_url, status, record.event_id) == [("rejected", "expired")]
