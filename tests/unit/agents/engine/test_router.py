# ruff: noqa: SLF001 - a router's consumer needs a broker; what it does with records does not
"""Router: whatever one record does, it alone becomes a dead letter, and that is written whatever is in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from fake_writer import Writer as FakeWriter
from shop_catalogue import CATALOGUE

from agents.engine import router as routing
from agents.engine.router import Router
from agents.engine.routing import route as find_its_timelines
from agents.engine.wanted import Wanted
from outbox.errors import StatementRejected
from outbox.records import DeadLetter, Message
from tables.event import Event, Unreadable, to_json

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NOON_MS = 1_714_564_800_000


class Publisher:
    """Takes everything."""

    def __init__(self) -> None:
        self.published: list[str] = []

    async def publish(self, messages: Sequence[Message]) -> list[None]:
        self.published += [message.id for message in messages]
        return [None] * len(messages)


class Writer(FakeWriter):
    """Refuses letters with a value when it is told to."""

    refuses_values = False

    async def bury(self, letter: DeadLetter) -> None:
        if self.refuses_values and letter.value is not None:
            raise StatementRejected("no such bytes")
        await super().bury(letter)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def router(publisher: Any, writer: Any) -> Router:
    return Router(
        ["orders"],
        group="router",
        options={},
        publisher=publisher,
        writer=writer,
        max_event_bytes=100_000,
        catalogue=CATALOGUE,
    )


def record(offset: int, value: bytes | None = None, **changes: Any) -> ConsumerRecord:
    """A record of `orders`; a valid event unless it is given another value."""
    event = Event(id=f"e-{offset}", source="urn:test", type="Seen", time=NOON, data={"order_id": "o-1"})
    fields = {"timestamp": NOON_MS, "timestamp_type": 0, "key": b"o-1", "headers": ()} | changes
    return ConsumerRecord(
        topic="orders", partition=0, offset=offset, value=to_json(event) if value is None else value,
        checksum=None, serialized_key_size=-1, serialized_value_size=-1, **fields,
    )  # fmt: skip


async def test_an_event_that_breaks_the_router_is_a_dead_letter_and_its_neighbours_are_routed(
    router: Router, publisher: Publisher, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def route(value: bytes, *arguments: Any, **options: Any) -> Any:
        if b"e-1" in value:
            raise ZeroDivisionError
        return find_its_timelines(value, *arguments, **options)

    monkeypatch.setattr(routing, "route", route)

    await router._route([record(0), record(1), record(2)])

    assert publisher.published == ["e-0", "e-2"]
    assert [(letter.reason, letter.detail, letter.origin.offset) for letter in writer.letters] == [
        ("unprocessable", "ZeroDivisionError", 1)
    ]


async def test_what_postgresql_does_not_keep_is_named_without_its_content(router: Router, writer: Writer) -> None:
    writer.refuses_values = True

    await router._route([record(3, b"{bad", headers=(("h", b"1"),))])

    [letter] = writer.letters
    assert (letter.reason, letter.origin.offset) == ("invalid_json", 3)
    assert (letter.key, letter.value, letter.headers) == (None, None, ())
    assert letter.detail.endswith("(without its content, which PostgreSQL refuses)")


async def test_an_unreadable_record_is_a_dead_letter_with_its_bytes_and_its_problem(
    router: Router, writer: Writer
) -> None:
    value = Unreadable(b"\0\1", "offsets 4 to 9 cannot be read: its checksum is wrong")

    await router._route([record(4, value, timestamp=-1, key=None)])

    [letter] = writer.letters
    assert (letter.reason, letter.value, letter.key) == ("unreadable", b"\0\1", None)
    assert letter.detail == (
        "offsets 4 to 9 cannot be read: its checksum is wrong (its record has the timestamp -1, which is no time)"
    )
    assert letter.origin.at == datetime(1970, 1, 1, tzinfo=UTC)


async def test_an_event_is_written_to_the_timelines_that_want_its_type_and_checked_in_any_case(
    publisher: Publisher, writer: Writer
) -> None:
    router = Router(
        ["orders"],
        group="router",
        options={},
        publisher=publisher,  # type: ignore[arg-type]
        writer=writer,
        max_event_bytes=100_000,
        catalogue=CATALOGUE,
        wanted=Wanted(CATALOGUE, ["order:Noticed"]),
    )

    def event(number: int, kind: str, **data: str) -> ConsumerRecord:
        found = Event(id=f"e-{number}", source="urn:test", type=kind, time=NOON, data={"order_id": "o-1", **data})
        return record(number, to_json(found))

    await router._route([
        event(0, "OrderCancelled", reason="changed my mind", customer_id="c-1"),
        event(1, "Noticed"),
        event(2, "Overlooked"),
        record(3, b'{"type": "Overlooked"}'),
    ])  # fmt: skip

    assert publisher.published == ["e-0", "e-1"]
    assert [letter.origin.offset for letter in writer.letters] == [3]


async def test_an_event_is_bounded_by_the_time_of_its_record(router: Router, publisher: Publisher) -> None:
    seen: list[Message] = []

    async def publish(messages: Sequence[Message]) -> list[None]:
        seen.extend(messages)
        return [None] * len(messages)

    publisher.publish = publish  # type: ignore[method-assign]

    await router._route([record(0, timestamp=NOON_MS - 86_400_000)])

    assert b'"time":"2024-04-30T12:00:00Z"' in (seen[0].value or b"")
    assert b'"claimedtime":"2024-05-01T12:00:00Z"' in (seen[0].value or b"")
