"""Plain Faust: as its documentation shows it, a list in a table, one transaction and one send for each payment.

    faust -A benchmarks.variants.plain_faust worker -l info

What it does not guarantee, and ours does: a crash between the transaction and the send loses the message, a failed
changelog send is only logged, an exception acknowledges the event, a list that outgrows Kafka's largest message stops
it for good, and a redelivered payment is in the list twice.
"""

from __future__ import annotations

import os
from typing import Any

import aiopg
import faust

from benchmarks.payments import TOPIC
from benchmarks.variants import shared

app = faust.App(
    "plain",
    broker=f"kafka://{shared.KAFKA}",
    store="rocksdb://",
    datadir=shared.DATADIR,
    topic_partitions=8,
    web_bind="127.0.0.1",
    web_port=int(os.environ.get("READY_PORT", "6066")),
)
payments = app.topic(TOPIC, value_serializer="json", key_type=bytes, key_serializer="raw")
scores = app.topic(shared.SCORES, value_serializer="json", key_type=str)
windows: Any = app.Table("windows", default=list, key_type=str)


@app.agent(payments)
async def fraud(stream: faust.StreamT[Any]) -> None:
    """Judge each payment by what was paid before."""
    shared.create_tables(shared.DECISIONS)
    async with aiopg.create_pool(shared.DATABASE_URL) as pool:
        async for event in stream.group_by(lambda event: event["data"]["customer_id"], name="customer"):
            payment = shared.read(event)
            customer = payment.data.customer_id
            known = windows[customer]
            row = shared.judged(payment, [shared.remembered(each) for each in known])
            windows[customer] = [*known, event][-shared.WINDOW :]
            async with pool.acquire() as connection, connection.cursor() as cursor:
                columns, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
                await cursor.execute(f"INSERT INTO decisions ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING", row)
            await scores.send(key=customer, value=shared.message(row, event["data"], event["time"]))
