"""A shop written by somebody else: makes CloudEvents as plain dictionaries and sends them with plain aiokafka.

Nothing of Innervate is used to make or to send an event. Times are absolute: the first payment of a series happens at
`OPENING`, each later one a minute after the one before.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from aiokafka import AIOKafkaProducer
from waiting import PATIENCE_SECONDS

OPENING = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
SOURCE = "urn:shop:till"

#: Larger than what any test sends, so that the broker's answer is what counts.
_PRODUCER_LIMIT_BYTES = 8 * 1024 * 1024
_UNHURRIED_SECONDS = 0.004


@dataclass(frozen=True)
class Record:
    """What goes into Kafka."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    topic: str = "payments"


@dataclass(frozen=True)
class Payment:
    """A payment of a customer; `event_id` names the event, `number` its place in the series."""

    event_id: str
    customer_id: str
    number: int = 0
    kind: str = "PaymentSucceeded"
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def fields(self) -> dict[str, Any]:
        """The data, with what the test wants different."""
        usual = {
            "payment_id": f"pay-{self.event_id}",
            "order_id": f"order-{self.event_id}",
            "customer_id": self.customer_id,
            "amount_minor": 2500 + self.number,
            "currency": "EUR",
            "method": "card",
            "country": "DE",
            "device_id": "device-1",
        }
        return {**usual, **self.data}

    def attributes(self) -> dict[str, str]:
        """The envelope of the event."""
        at = OPENING + timedelta(minutes=self.number)
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": SOURCE,
            "type": self.kind,
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def structured(self, **extensions: str) -> Record:
        """One JSON object with envelope and data."""
        event = {**self.attributes(), **extensions, "data": self.fields()}
        media_type = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
        return Record(json.dumps(event).encode(), media_type, self._key())

    def binary(self, **extensions: str) -> Record:
        """The envelope in headers, the data alone in the value."""
        headers = [(f"ce_{name}", text.encode()) for name, text in {**self.attributes(), **extensions}.items()]
        value = json.dumps(self.fields()).encode()
        return Record(value, (*headers, ("content-type", b"application/json")), self._key())

    def _key(self) -> bytes:
        return str(self.fields()["order_id"]).encode()


def series(name: str, customers: int, payments: int) -> list[Payment]:
    """`payments` payments, the customers taking turns; ids and customers carry `name`."""
    return [
        Payment(f"{name}-{number:04}", f"{name}-customer-{number % customers}", number) for number in range(payments)
    ]


def ids(payments: Sequence[Payment]) -> list[str]:
    """The ids of their events."""
    return [payment.event_id for payment in payments]


def records(payments: Sequence[Payment]) -> list[Record]:
    """As a shop with two programs sends them: every third one in binary mode."""
    return [payment.structured() if payment.number % 3 else payment.binary() for payment in payments]


async def send(kafka: str, records: Sequence[Record], pause_seconds: float = 0.0) -> None:
    """Send in order, each one after the acknowledgement of the one before."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=_PRODUCER_LIMIT_BYTES)
    async with producer:
        for record in records:
            await producer.send_and_wait(record.topic, key=record.key, value=record.value, headers=list(record.headers))
            await asyncio.sleep(pause_seconds)


@contextmanager
def sending(kafka: str, records: Sequence[Record], *, rest: threading.Event | None = None) -> Iterator[None]:
    """Send unhurriedly in the background; everything is sent when the block is left, or the failure is raised.

    With `rest` the second half waits until that is set, at the latest at the end of the block: however fast a worker
    is and however slow the test, not everything can be decided before.
    """
    failures: list[BaseException] = []
    half = len(records) // 2 if rest else len(records)

    def run() -> None:
        try:
            asyncio.run(send(kafka, records[:half], _UNHURRIED_SECONDS))
            if rest:
                rest.wait(PATIENCE_SECONDS)
                asyncio.run(send(kafka, records[half:], _UNHURRIED_SECONDS))
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run, name="shop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        if rest:
            rest.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), f"{len(records)} records were not sent in {PATIENCE_SECONDS:.0f} s"
    if failures:
        raise failures[0]
