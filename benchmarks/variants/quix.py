"""Quix Streams: `group_by`, a list in its state, a topic and its own PostgreSQL sink.

Row and message are not durable together: the sink writes its batch when a checkpoint is committed, messages leave as
they are made. What it does not guarantee besides, and ours does: a payment that comes again after a crash can be in the
list twice, and its message leaves again before its row is there; what cannot be read, or PostgreSQL refuses, stops
it; windows are written as whole lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.sinks.community.postgresql import PostgreSQLSink

from benchmarks.payments import TOPIC
from benchmarks.variants import shared


def decided(event: Mapping[str, Any], state: State) -> dict[str, Any]:
    """The row of a payment, and its message under a name of its own."""
    known = state.get("payments", [])
    payment = shared.read(event)
    row = shared.judged(payment, [shared.remembered(each) for each in known])
    state.set("payments", [*known, event][-shared.WINDOW :])
    return {**row, "message": shared.message(row, event["data"], event["time"])}


def application() -> tuple[Application, StreamingDataFrame]:
    """The application, and its stream of what was decided, by customer."""
    app = Application(
        broker_address=shared.KAFKA,
        consumer_group="quix",
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=shared.DATADIR,
    )
    by_customer = app.dataframe(app.topic(TOPIC, key_deserializer="bytes", value_deserializer="json")).group_by(
        lambda event: event["data"]["customer_id"], name="customer", key_serializer="str", key_deserializer="str"
    )
    return app, by_customer.apply(decided, stateful=True)


def main() -> None:
    """Run for ever."""
    shared.create_tables(shared.DECISIONS)
    app, stream = application()
    database = urlsplit(shared.DATABASE_URL)
    sink = PostgreSQLSink(
        host=str(database.hostname),
        port=int(database.port or 5432),
        dbname=database.path[1:],
        user=str(database.username),
        password="",
        table_name="decisions",
        schema_auto_update=False,
        include_metadata=False,
        on_conflict_do_nothing=True,
    )
    scores = app.topic(shared.SCORES, key_serializer="str", value_serializer="json")
    stream.apply(lambda row: row["message"]).to_topic(scores)
    stream.apply(lambda row: {name: value for name, value in row.items() if name != "message"}).sink(sink)
    with shared.say_ready():
        app.run()


if __name__ == "__main__":
    main()
