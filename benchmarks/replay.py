"""Replay: events and decisions per second, and the peak of memory, over a log far larger than memory should hold.

    python -m benchmarks.replay 1000000

The log is generated while it is read: payments of many customers, some failed, and orders between them. Every decision
has to be made again; nothing is recorded, so nothing is compared. It runs in a process of its own, whose peak is told.
"""

from __future__ import annotations

import asyncio
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from agents.model.catalogue import Catalogue
from agents.replay.deciders import RulesDecider
from agents.replay.engine import Replay
from agents.replay.records import TimelineRecord
from agents.replay.sources import MemoryDecisions
from agents.replay.span import Part, Span
from agents.replay.windows import ReplayWindows
from agents.shop import shop

SHOP = Catalogue([shop])

#: What `make bench` takes; the whole million takes some ten minutes.
EVENTS: Final = 100_000
CUSTOMERS: Final = 20_000
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


async def customers(events: int) -> AsyncIterator[TimelineRecord]:
    """Payments of random customers; one in ten fails."""
    chance = random.Random(1)
    for offset in range(events):
        customer = f"customer-{chance.randrange(CUSTOMERS)}"
        data = {
            "payment_id": f"payment-{offset}",
            "order_id": f"order-{offset}",
            "customer_id": customer,
            "amount_minor": chance.randrange(500, 20_000),
            "currency": "EUR",
            "method": "card",
            "country": "DE",
            "device_id": f"device-{chance.randrange(3)}",
        }
        failed = chance.random() < 0.1
        kind = "PaymentFailed" if failed else "PaymentSucceeded"
        yield _record("customer", offset, kind, customer, data | ({"reason": "declined"} if failed else {}))


async def orders(events: int) -> AsyncIterator[TimelineRecord]:
    """Orders, each placed, paid and reserved, a thousand of them at a time."""
    chance = random.Random(2)
    open_orders: list[tuple[str, int]] = []
    for offset in range(events):
        if len(open_orders) < 1000:
            open_orders.append((f"order-{offset}", 0))
        place = chance.randrange(len(open_orders))
        order, step = open_orders[place]
        yield _order_record(offset, order, step)
        if step == 2:
            open_orders.pop(place)
        else:
            open_orders[place] = (order, step + 1)


def _order_record(offset: int, order: str, step: int) -> TimelineRecord:
    common = {"order_id": order, "customer_id": f"customer-of-{order}"}
    item = {"sku": "lamp", "quantity": 1, "price_minor": 2000}
    payment = {"payment_id": f"of-{order}", "amount_minor": 2000, "currency": "EUR"}
    rest = {"method": "card", "country": "DE", "device_id": "device-1"}
    kind, data = (
        ("OrderPlaced", {"items": [item], "total_minor": 2000, "currency": "EUR"}),
        ("PaymentSucceeded", payment | rest),
        ("InventoryReserved", {"sku": "lamp", "wanted": 1, "available": 5}),
    )[step]
    return _record("order", offset, kind, order, common | data)


def _record(entity: str, offset: int, kind: str, key: str, data: object) -> TimelineRecord:
    at = START + timedelta(seconds=offset)
    envelope = {
        "specversion": "1.0",
        "id": f"{entity}-event-{offset:012}",
        "source": "urn:bench:shop",
        "type": kind,
        "time": at.isoformat().replace("+00:00", "Z"),
        "data": data,
    }
    return TimelineRecord(
        topic=f"timeline-{entity}", partition=0, offset=offset, at=at, key=key.encode(), value=orjson.dumps(envelope)
    )


async def replay(events: int) -> None:
    """Replay that many events with all agents, and print what it took."""
    began = time.perf_counter()
    decisions = 0
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(ReplayWindows(Path(directory) / "windows", durable=False)) as windows,
    ):
        agents = list(SHOP.agents.values())
        engine = Replay(
            agents,
            decider=RulesDecider(),
            windows=windows,
            decisions=MemoryDecisions([]),
            span=Span(),
            types=SHOP.types,
        )
        for topic, log in (("timeline-customer", customers), ("timeline-order", orders)):
            end = events // 2
            part = Part(topic=topic, partition=0, first=0, start=0, end=end)
            async for _ in engine.compare(part, log(end)):
                decisions += 1
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {'events':44} {events / seconds:>12,.0f} events/s")
    print(f"  {'decisions of all agents':44} {decisions / seconds:>12,.0f} decisions/s")
    print(f"  {'peak of the whole process':44} {peak_mb:>12,.0f} MB", flush=True)


async def measure(events: int = EVENTS) -> None:
    """Replay in a process of its own."""
    print(f"\nreplay of {events:,} events, {CUSTOMERS:,} customers and as many orders as fit", flush=True)
    command = [sys.executable, "-m", "benchmarks.replay", "--here", str(events)]
    await asyncio.to_thread(subprocess.run, command, check=True)


if __name__ == "__main__":
    *here, count = sys.argv[1:] or [str(EVENTS)]
    asyncio.run(replay(int(count)) if here else measure(int(count)))
