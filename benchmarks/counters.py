"""Counters: what a variant cost PostgreSQL and Kafka, counted there, so that no variant counts itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True, slots=True)
class Written:
    """What PostgreSQL was asked to do so far by everybody but the observer."""

    statements: int
    #: Transactions that wrote something: each is one commit, and one wait for the disk or a share of it.
    commits: int
    wal_bytes: int

    def since(self, before: Written) -> Written:
        """The difference."""
        return Written(
            self.statements - before.statements,
            self.commits - before.commits,
            self.wal_bytes - before.wal_bytes,
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions committed since some moment."""

    count: int
    #: When the first and the last one were committed; None without any.
    first_at: datetime | None
    last_at: datetime | None

    @property
    def seconds(self) -> float:
        """Between the first and the last one."""
        return (self.last_at - self.first_at).total_seconds() if self.first_at and self.last_at else 0.0


class Observer:
    """Looks at the database of a run."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def close(self) -> None:
        """Look no more."""
        self._connection.close()

    def written(self) -> Written:
        """What was asked so far: exact at once, unlike PostgreSQL's own statistics."""
        # ANALYZE, which comes when it likes, runs the functions of indexes for thousands of rows: nobody sent those.
        [(statements, commits, wal_bytes)] = self.rows(
            """
            SELECT
                (
                    SELECT coalesce(sum(calls), 0)::bigint
                    FROM pg_stat_statements AS s
                    WHERE userid <> current_user::regrole AND NOT EXISTS (
                        SELECT FROM pg_proc
                        WHERE prosrc <> '' AND pronamespace <> 'pg_catalog'::regnamespace
                            AND starts_with(ltrim(s.query, E' \\n'), left(ltrim(prosrc, E' \\n'), 30))
                    )
                ),
                pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
                pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
            """
        )
        return Written(statements, commits, wal_bytes)

    def statements(self) -> list[tuple[int, str]]:
        """How often each statement was run, the most frequent first."""
        return self.rows(
            "SELECT calls, left(regexp_replace(query, '\\s+', ' ', 'g'), 100) FROM pg_stat_statements"
            " WHERE userid <> current_user::regrole ORDER BY calls DESC LIMIT 20"
        )

    def now(self) -> datetime:
        """The database's clock."""
        [(now,)] = self.rows("SELECT clock_timestamp()")
        assert isinstance(now, datetime)
        return now

    def decided(self, since: datetime) -> Decided:
        """The decisions committed after that."""
        sql = "SELECT count(*), min(committed_at), max(committed_at) FROM decisions WHERE committed_at > %s"
        [row] = self.rows(sql, (since,))
        return Decided(*row)

    def pending(self) -> int:
        """Messages that are committed and not yet published; 0 where there is no outbox."""
        [(there,)] = self.rows("SELECT to_regclass('outbox_messages') IS NOT NULL")
        if not there:
            return 0
        [(count,)] = self.rows("SELECT count(*) FROM outbox_messages")
        return int(count)

    def has_decisions(self) -> bool:
        """Whether the table is there."""
        [(there,)] = self.rows("SELECT to_regclass('decisions') IS NOT NULL")
        return bool(there)

    def rows(self, sql: str, parameters: tuple[Any, ...] | None = None) -> list[Any]:
        """Ask."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class TopicSize:
    """What a topic holds: keys, values and headers, without what Kafka adds."""

    records: int
    bytes: int


async def ends(kafka: str) -> Mapping[TopicPartition, int]:
    """Where every partition of every topic ends now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        names = [topic for topic in await admin.list_topics() if not topic.startswith("__")]
        described = await admin.describe_topics(names)
    finally:
        await admin.close()
    places = [TopicPartition(topic["topic"], each["partition"]) for topic in described for each in topic["partitions"]]
    async with _consumer(kafka) as consumer:
        return dict(await consumer.end_offsets(places))


async def sizes(kafka: str, since: Mapping[TopicPartition, int]) -> Mapping[str, TopicSize]:
    """What was written to each topic since, by the topic's name."""
    until = {place: end for place, end in (await ends(kafka)).items() if end > since.get(place, 0)}
    found: dict[str, list[int]] = {}
    async with _consumer(kafka) as consumer:
        consumer.assign(list(until))
        for place in until:
            consumer.seek(place, since.get(place, 0))
        waiting = set(until)
        while waiting:
            for place, records in (await consumer.getmany(*waiting, timeout_ms=500)).items():
                sums = found.setdefault(place.topic, [0, 0])
                for record in records:
                    if record.offset < until[place]:
                        sums[0] += 1
                        sums[1] += len(record.key or b"") + len(record.value or b"")
                        sums[1] += sum(len(name) + len(value or b"") for name, value in record.headers)
            waiting = {place for place in waiting if await consumer.position(place) < until[place]}
    return {topic: TopicSize(*sums) for topic, sums in sorted(found.items())}


async def is_all_read(kafka: str) -> bool:
    """Whether every consumer group has committed the end of every partition it reads."""
    until = await ends(kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        for name, *_ in await admin.list_consumer_groups():
            offsets = await admin.list_consumer_group_offsets(name)
            if any(read.offset < until.get(place, 0) for place, read in offsets.items()):
                return False
    finally:
        await admin.close()
    return True


@contextlib.asynccontextmanager
async def _consumer(kafka: str) -> Any:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=2**23
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
