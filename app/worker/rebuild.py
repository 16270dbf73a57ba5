"""Rebuild: an agent's windows anew from the timeline, after a change of what it remembers.

For each partition: what the changelog has, then the timeline from the first offset Kafka still has up to what the
agent's consumer group has committed, folded by the same code as live; what differs is appended to the changelog. The
workers of the set must not run: they would fold into windows that are being replaced. Whoever starts afterwards
recovers the new windows, with the data directory of before or with none, and reads on from the committed offsets.

What Kafka's retention has dropped from the timeline is taken over from the old windows, if the agent still remembers
its type; what it did not remember then is gone.

A changelog with records that are no entries of windows stops every worker that recovers from it, and it keeps them
whatever is appended. Such a changelog is deleted, created again and written in full; workers see that it is another one
and throw away what they had.

Interrupted, it is run again before any worker starts: what the changelog had before the first attempt is kept on disk
until the end, so nothing that was overwritten is missing then.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer

from agents.engine.routing import timeline
from agents.model.agent import Agent
from agents.model.types import Received
from agents.replay.reading import Read, read_record
from agents.replay.records import TimelineRecord
from app.kafka import groups
from app.kafka.credentials import client_options
from app.kafka.timelines import TimelineReader
from app.kafka.topics import LARGEST_MESSAGE_BYTES, create_changelog_again
from app.kafka.tuning import TUNING
from app.settings import Settings
from app.worker.stream import AgentStream
from tables.errors import Fatal
from tables.event import InvalidEvent, type_of
from tables.rebuild import Change, PartitionRebuild
from tables.ring import RingCorrupt
from tables.table import require_entry

#: Says in the directory of a rebuild what is wrong with the changelog.
_RUBBISH: Final = "rubbish"
#: Changelog records on their way at a time.
_UNDER_WAY: Final = 1000


class CannotRebuild(Fatal):
    """The windows are as they were; the message says why."""


class RebuildSpoiled(Fatal):
    """Workers of the set ran in the meantime; stop them and rebuild again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RebuiltPartition:
    """What was done with one partition."""

    partition: int
    #: Offsets of the timeline: the first there is, and the one the group goes on with.
    first: int
    end: int
    #: Entries taken over from before the first offset.
    taken_over: int
    #: Records appended to the changelog: entries, and removals.
    written: int
    removed: int


class WindowRebuild:
    """Rebuilds the windows of one agent, whose workers are of this consumer group and do not run."""

    def __init__(self, settings: Settings, stream: AgentStream, *, group: str, datadir: Path) -> None:
        self._settings = settings
        tuning = TUNING[settings.kafka_profile]
        self._agent: Agent = stream.agent
        self._types = settings.catalogue.types
        self._spec = stream.windows.spec
        self._group = group
        self._options: Mapping[str, Any] = client_options(settings)
        self._producer = {"max_request_size": LARGEST_MESSAGE_BYTES, "linger_ms": 2, **tuning.producer}
        if "producer_max_batch_size" in tuning.faust:
            self._producer["max_batch_size"] = tuning.faust["producer_max_batch_size"]
        self._timeline = TimelineReader(self._options, timeline(stream.agent.entity.name), exact_ends=tuning.exact_ends)
        self._changelog = TimelineReader(self._options, stream.changelog, exact_ends=tuning.exact_ends)
        self._directory = datadir / "rebuild" / stream.changelog

    async def run(self, tell: Callable[[RebuiltPartition], None], *, are_stopped: bool = False) -> str | None:
        """Rebuild every partition; `tell` is called after each.

        Returns what was wrong with the changelog if it had to be created again.
        `are_stopped` says that no worker runs, whatever Kafka says: the embedded broker never forgets one that ended.
        Raises `CannotRebuild`, `RebuildSpoiled`, `TopicsUnusable`, `TimelineUnreadable`, `RingCorrupt`, and aiokafka's
        errors. After all but the first some windows may be old and some new: run it again.
        """
        if not are_stopped and (
            members := await groups.remaining_members(
                self._options, self._group, self._settings.kafka_session_timeout_seconds
            )
        ):
            raise CannotRebuild(f"Kafka says that {members} workers of {self._group} run: stop them first")
        firsts = {partition: first for partition, (first, _) in (await self._timeline.partitions()).items()}
        committed = await self._committed(firsts)
        # Without a commit the group begins at the first offset, and everything comes again.
        spans = {partition: (first, max(first, committed[partition])) for partition, first in firsts.items()}
        await self._keep_what_was(spans)
        rubbish = await self._rubbish()
        if rubbish is not None:
            await create_changelog_again(self._settings, self._changelog.topic)
        async with AIOKafkaProducer(acks="all", **self._options, **self._producer) as producer:
            for partition, (first, end) in spans.items():
                tell(await self._rebuild(producer, partition, first, end, to_empty=rubbish is not None))
        have_run = not are_stopped and await groups.members(self._options, self._group)
        if have_run or await self._committed(firsts) != committed:
            raise RebuildSpoiled(f"workers of {self._group} ran in the meantime: stop them and rebuild again")
        await asyncio.to_thread(shutil.rmtree, self._directory)
        return rubbish

    async def _rebuild(
        self, producer: AIOKafkaProducer, partition: int, first: int, end: int, *, to_empty: bool
    ) -> RebuiltPartition:
        with closing(self._windows(partition)) as windows:
            taken_over = windows.begin(first, self._is_remembered)
            async for record in self._timeline.read(partition, first, end):
                read = self._remembered(record)
                if read is not None:
                    assert record.value is not None, "a tombstone is no event"
                    windows.fold(
                        read.entity_id,
                        offset=record.offset,
                        time=read.event.time,
                        event_id=read.event.id,
                        payload=record.value,
                    )
            written, removed = await self._append(producer, partition, windows.changes(to_empty=to_empty))
        return RebuiltPartition(
            partition=partition, first=first, end=end, taken_over=taken_over, written=written, removed=removed
        )

    async def _append(self, producer: AIOKafkaProducer, partition: int, changes: Iterable[Change]) -> tuple[int, int]:
        """Write the changes to the changelog and wait for all of them; returns how many entries and removals."""
        written = removed = 0
        under_way: list[Awaitable[object]] = []
        for key, value in changes:
            under_way.append(await producer.send(self._changelog.topic, key=key, value=value, partition=partition))
            written, removed = written + (value is not None), removed + (value is None)
            if len(under_way) == _UNDER_WAY:
                await asyncio.gather(*under_way)
                under_way.clear()
        await asyncio.gather(*under_way)
        return written, removed

    async def _keep_what_was(self, spans: Mapping[int, tuple[int, int]]) -> None:
        """Copy the changelog to the disk, unless an attempt at the same was interrupted after it had."""
        plan = orjson.dumps(
            {
                "spans": {str(partition): span for partition, span in spans.items()},
                "remembers": sorted(self._agent.remembers),
                "events": self._spec.events,
            },
            option=orjson.OPT_SORT_KEYS,
        )
        if await self._rubbish() is not None:
            # An attempt may have deleted the changelog since: there is no other copy.
            return
        done = self._directory / "plan.json"
        if done.is_file() and await asyncio.to_thread(done.read_bytes) == plan:
            return
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
        rubbish = [
            place
            for partition, (first, end) in (await self._changelog.partitions()).items()
            async for place in self._copy(partition, first, end)
        ]
        if rubbish:
            found = f"{len(rubbish)} of its records are no entries of windows, the first one {rubbish[0]}"
            await asyncio.to_thread(_write, self._directory / _RUBBISH, found.encode())
        await asyncio.to_thread(_write, done, plan)

    async def _copy(self, partition: int, first: int, end: int) -> AsyncGenerator[str, None]:
        """Copy a partition of the changelog, without the records that are no entries; yields their places."""
        with closing(self._windows(partition)) as windows:
            async for record in self._changelog.read(partition, first, end):
                try:
                    require_entry(record.key, record.value)
                except RingCorrupt as error:
                    yield f"{record.topic}[{partition}]@{record.offset}: {error}"
                else:
                    windows.apply(record.key or b"", record.value)

    async def _rubbish(self) -> str | None:
        """What is wrong with the changelog that was copied; None when nothing is."""
        path = self._directory / _RUBBISH
        return (await asyncio.to_thread(path.read_bytes)).decode() if path.is_file() else None

    def _windows(self, partition: int) -> PartitionRebuild:
        return PartitionRebuild(self._directory / str(partition), self._spec)

    def _remembered(self, record: TimelineRecord) -> Read | None:
        """The event of a record that live workers remember too; None for any other."""
        if type_of(record.value) not in self._agent.remembers:
            return None
        try:
            read = read_record(record, self._types)
        except InvalidEvent:
            return None
        return read if isinstance(read.received, Received) else None

    def _is_remembered(self, payload: bytes) -> bool:
        return type_of(payload) in self._agent.remembers

    async def _committed(self, partitions: Iterable[int]) -> Mapping[int, int]:
        return await groups.committed(self._options, self._group, self._timeline.topic, sorted(partitions))


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_bytes(content)
    unfinished.rename(path)
