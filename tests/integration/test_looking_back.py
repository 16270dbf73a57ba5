"""Looking back through the web views, on a real broker and a real database, without a running worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from problems import problem

from agents.model.history import digest_of
from app.composition import create_app
from app.sandbox import Broker, TansuBroker
from app.settings import Settings
from outbox.records import Origin
from outbox.writer import DecisionWriter
from tables.event import Event, to_json

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
TOPIC = "timeline-order"
#: Every second event is of this order; with a slash, as ids of strangers may have.
ORDER = "o/17 ä"
EVENTS = 30

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, dict[str, tuple[int, int, bytes]]]]:
    """A broker, and partition, offset and value of each event of the order."""
    broker = TansuBroker(tmp_path_factory.mktemp("time-machine") / "kafka")
    try:
        broker.start()
        yield broker, asyncio.run(written(broker))
    finally:
        broker.release()


async def written(broker: Broker) -> dict[str, tuple[int, int, bytes]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 2, 1)])
    await admin.close()
    places = {}
    async with AIOKafkaProducer(bootstrap_servers=broker.address, linger_ms=5, enable_idempotence=False) as producer:
        sent = {}
        for n in range(EVENTS):
            await producer.send(TOPIC, event(f"x-{n}", "o-other"), key=b"o-other")
            sent[f"e-{n}"] = await producer.send(TOPIC, event(f"e-{n}", ORDER, n), key=ORDER.encode())
        for event_id, sending in sent.items():
            metadata = await sending
            places[event_id] = (metadata.partition, metadata.offset, event(event_id, ORDER, int(event_id[2:])))
    return places


def event(event_id: str, order_id: str, minutes: int = 0) -> bytes:
    at = NOON + timedelta(minutes=minutes)
    data = {"order_id": order_id, "note": "all well\x1b[2J"}
    return to_json(Event(id=event_id, source="urn:test:shop", type="SomethingHappened", time=at, data=data))


@pytest.fixture
async def ask(log: Any, database_url: str, tmp_path: Path) -> AsyncIterator[Ask]:
    """Status and JSON of a GET to a worker that is not started."""
    broker, _ = log
    settings = Settings(
        _env_file=None, kafka_broker=broker.address, kafka_profile="tansu", database_url=database_url, datadir=tmp_path
    )
    app = create_app(settings)
    async with TestClient(TestServer(await app.web.wsgi())) as client:

        async def get(path: str) -> tuple[int, Any]:
            async with client.get(path) as response:
                return response.status, await response.json()

        yield get
    await app.runtime.database.close()


@pytest.fixture
def decided(log: Any, writer: DecisionWriter, decision: Callable[..., Any]) -> Callable[..., Awaitable[str]]:
    """Records a decision on an event of the order; returns its id."""
    _, places = log

    async def record(event_id: str, *known: str, **history: Any) -> str:
        partition, offset, _ = places[event_id]
        events = [(places[each][1], places[each][2]) for each in known]
        row = decision(
            event_id,
            agent="recovery",
            entity="order",
            entity_id=ORDER,
            origin=Origin(topic=TOPIC, partition=partition, offset=offset, at=NOON),
            history={"offsets": [place for place, _ in events], "sha256": digest_of(events)} | history,
        )
        await writer.record(row)
        return str(row.id)

    return record


def ids(events: list[Any]) -> list[str]:
    return [each["event"]["id"] for each in events]


async def test_what_an_agent_knew_is_rebuilt_and_verified(ask: Ask, decided: Callable[..., Any]) -> None:
    status, body = await ask(f"/decisions/{await decided('e-9', 'e-2', 'e-5', 'e-8')}/history")

    assert (status, body["history_kind"], body["dropped_offsets"]) == (200, "same", [])
    assert ids(body["history"]) == ["e-2", "e-5", "e-8"]
    assert body["event"]["event"]["id"] == "e-9"
    assert (body["agent"], body["outcome"]) == ("recovery", "approve")


async def test_an_agent_may_have_known_nothing(ask: Ask, decided: Callable[..., Any]) -> None:
    _, body = await ask(f"/decisions/{await decided('e-0')}/history")

    assert (body["history_kind"], body["history"]) == ("same", [])


async def test_other_events_than_it_knew_are_not_taken_for_the_same(ask: Ask, decided: Callable[..., Any]) -> None:
    _, body = await ask(f"/decisions/{await decided('e-9', 'e-2', sha256='00' * 32)}/history")

    assert (body["history_kind"], ids(body["history"])) == ("differs", ["e-2"])


async def test_what_kafka_no_longer_has_is_named(ask: Ask, log: Any, decided: Callable[..., Any]) -> None:
    offset = log[1]["e-2"][1]
    found = await decided("e-9", offsets=[offset, 90_001, 90_002, 90_005])

    _, body = await ask(f"/decisions/{found}/history")

    assert (body["history_kind"], body["dropped_offsets"]) == ("dropped", [90_001, 90_002, 90_005])
    assert ids(body["history"]) == ["e-2"]


async def test_a_decision_nobody_made_has_no_history(ask: Ask) -> None:
    nobody = "00000000-0000-0000-0000-000000000001"
    assert await ask(f"/decisions/{nobody}/history") == (404, problem(404, f"no decision {nobody}"))
    assert (await ask("/decisions/1/history"))[0] == 400


@pytest.mark.parametrize("is_decided", [True, False])
async def test_the_last_events_before_a_failure(ask: Ask, decided: Callable[..., Any], is_decided: bool) -> None:
    if is_decided:
        await decided("e-20", "e-19")

    status, body = await ask("/timelines/order/o%2F17%20%C3%A4?before=e-20&events=5")

    assert status == 200
    assert ids(body["events"]) == ["e-15", "e-16", "e-17", "e-18", "e-19"]
    assert body["before"]["event"]["id"] == "e-20"
    assert (body["entity"], body["entity_id"]) == ("order", ORDER)


async def test_a_decision_that_points_elsewhere_does_not_mislead(
    ask: Ask, writer: DecisionWriter, decision: Callable[..., Any], log: Any
) -> None:
    # As after a topic was deleted and written anew.
    partition, offset, _ = log[1]["e-3"]
    origin = Origin(topic=TOPIC, partition=partition, offset=offset, at=NOON)
    await writer.record(decision("e-20", agent="recovery", entity="order", entity_id=ORDER, origin=origin))

    _, body = await ask("/timelines/order/o%2F17%20%C3%A4?before=e-20&events=2")

    assert ids(body["events"]) == ["e-18", "e-19"]


async def test_a_timeline_is_read_back_page_by_page(ask: Ask) -> None:
    path = "/timelines/order/o%2F17%20%C3%A4?events=12"
    seen: list[str] = []
    before = ""
    for length in (12, 12, EVENTS - 24):
        _, body = await ask(path + before)
        assert len(body["events"]) == length
        seen = ids(body["events"]) + seen
        before = f"&before={body['next']}&source={body['next_source']}"

    assert seen == [f"e-{n}" for n in range(EVENTS)]
    assert (body["next"], body["next_source"]) == (None, None)


async def test_without_an_event_the_newest_are_shown(ask: Ask) -> None:
    _, body = await ask("/timelines/order/o%2F17%20%C3%A4")

    assert ids(body["events"]) == [f"e-{n}" for n in range(EVENTS)]
    assert body["before"] is None
    assert ids((await ask("/timelines/order/o%2F17%20%C3%A4?events=1"))[1]["events"]) == ["e-29"]


async def test_an_entity_nobody_has_heard_of_has_no_events(ask: Ask) -> None:
    status, body = await ask("/timelines/order/nobody")

    assert (status, body["events"]) == (200, [])


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/timelines/order/o%2F17%20%C3%A4?before=x-3", 404, "order o/17 ä has no event x-3 in timeline-order"),
        ("/timelines/order/o-1?before=e%E2%80%A81", 404, "order o-1 has no event e\\u20281 in timeline-order"),
        ("/timelines/planet/o-1", 404, "an entity is one of customer, order, service"),
        ("/timelines/customer/ada", 503, "Kafka does not answer"),  # its topic is not there
        ("/timelines/order/o-1?events=0", 400, "events: expected a number from 1 to 500"),
        ("/timelines/order/o-1?events=501", 400, "events: expected a number from 1 to 500"),
        ("/timelines/order/o-1?events=many", 400, "events: expected a number from 1 to 500"),
    ],
)
async def test_what_cannot_be_answered_is_said(ask: Ask, path: str, status: int, error: str) -> None:
    found, body = await ask(path)

    assert found == status
    assert body["detail"].startswith(error)
