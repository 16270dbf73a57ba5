"""Consumer: Faust's, but for the moments when its position in the log changes.

Faust 0.15.3 fetches in another thread, and neither a rebalance nor a seek waits for the fetch that is under way. Its
records then arrive between others, or are dropped although the position has moved past them: later events are folded
before earlier ones, or the earlier ones never come at all. Here

- no position changes while a fetch is under way,
- what was fetched of a timeline partition is handed on as one message, and what of it is done is counted by offsets,
- what was fetched before or during a rebalance is not handed on after it, for it will be read again,
- nothing is fetched that is not asked for: an empty set of partitions would be taken for every partition,
- only what is in no transaction, or in one that was committed, is read; ends are those of all records
  (`app.worker.consumer_thread`),
- the streams' partitions are sought first, to what was committed when their recovery began or to the earliest offset
  where nothing was, and then fetched,
- a timeline that cannot be read for now stops no other, neither when it is read nor when its offsets are committed,
- it is known which record was the last one before an end, for what is behind it may be marks of transactions,
- what was fetched of changelogs goes to the recovery as it is (`app.worker.changelogs`),
- and a worker that has crashed does not wait for ever for what can no longer be done.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, Protocol, cast

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka
from faust.types import TP, Message
from mode.utils.futures import notify

from agents.engine.rests import Rests
from app.worker.changelogs import ChangelogConsumer
from app.worker.consumer_thread import ConsumerThread
from app.worker.fetched import Backlog, Fetched
from app.worker.fetched import messages as fetched_messages

#: How long a fetch waits for records while a partition has its backlog full, in seconds (own choice).
HELD_UP_SECONDS: Final = 0.02


class Reading(Protocol):
    """What of its app a consumer looks at."""

    #: Set when nothing that is in flight is to be waited for.
    has_crashed: asyncio.Event
    #: The agents of each timeline, by name.
    readers: Mapping[str, AbstractSet[str]]


class Consumer(ChangelogConsumer):
    """One fetch or one change of position at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._to_resume: set[TP] = set()
        #: Held by whoever reads from, or moves, the positions in the log.
        self._positions = asyncio.Lock()
        #: What was committed when the last recovery began, by partition; None before the first.
        self._held: Mapping[TP, int] | None = None

    @cached_property
    def _rests(self) -> Rests:
        """The topics that cannot be read for now."""
        return Rests()

    @cached_property
    def _left_out(self) -> dict[TP, int]:
        """What is to be committed to topics that may not be read now, since the last rebalance."""
        return {}

    def committable(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        """Those of topics that may be read, and what was left out before; Faust would end the worker for the others."""
        failing = self._rests.failing()
        wanted = {**self._left_out, **offsets}
        self._left_out.clear()
        self._left_out.update((tp, offset) for tp, offset in wanted.items() if tp.topic in failing)
        return {tp: offset for tp, offset in wanted.items() if tp.topic not in failing}

    def leave_out(self, offsets: Mapping[TP, int]) -> None:
        """Commit these with the next ones."""
        self._left_out.update(offsets)

    @cached_property
    def _fetched(self) -> dict[TP, int]:
        """Of each partition that was sought since the last rebalance, the last record since; -1 where none came."""
        return {}

    async def last_before(self, ends: Mapping[TP, int]) -> Mapping[TP, int]:
        """Of those partitions that were sought, and read up to these ends since: the last record's offset, or -1."""
        async with self._positions:
            at: dict[TP, int | None] = {}
            for tp in ends.keys() & self._fetched.keys():
                with suppress(KafkaError):  # it is somebody else's by now, or asked for again
                    at[tp] = await self.position(tp)
            return {tp: self._fetched[tp] for tp in at.keys() & self._fetched.keys() if (at[tp] or 0) >= ends[tp]}

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """A rebalance begins."""
        self._epoch += 1
        self._left_out.clear()
        self._fetched.clear()
        await super().on_partitions_revoked(revoked)
        self._progress.clear()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """A rebalance is over, but for the recovery of the windows."""
        self._epoch += 1
        self._progress.clear()
        self._backlog.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    @cached_property
    def _progress(self) -> dict[TP, dict[str, int]]:
        """Of each partition since the last rebalance: what each agent is done with everything before."""
        return {}

    @cached_property
    def _backlog(self) -> Backlog:
        return Backlog()

    @cached_property
    def _moved(self) -> asyncio.Event:
        """Set when something came to its end."""
        return asyncio.Event()

    @cached_property
    def _in_flight(self) -> Counter[Any]:
        """How many agents have taken each message and not ended it."""
        return Counter()

    def taken(self, message: Fetched) -> None:
        """An agent has taken a message from its stream."""
        self._in_flight[message] += 1

    def done(self, message: Fetched, agent: str, offset: int) -> None:
        """An agent is done with everything of the partition before this offset, which is of a message it holds."""
        self._progress.setdefault(message.tp, {})[agent] = offset

    def ended(self, message: Fetched) -> None:
        """An agent that has taken a message is done with it, or has given it up."""
        self._in_flight[message] -= 1
        if self._in_flight[message] <= 0:
            del self._in_flight[message]
            self._give_up({message})

    def ack(self, message: Message) -> bool:
        """All agents have acknowledged a message; what of it was done they have said themselves."""
        message.acked = True
        self.discard(message)
        notify(self._waiting_for_ack)
        return True

    def discard(self, message: Message) -> None:
        """Wait for a message no more: it is done, or was given up and comes again."""
        self.unacked.discard(message)
        self._backlog.end(message)
        self._moved.set()

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._progress) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        """Where a partition is to be read on: before what some agent is not done with; None while one has done none."""
        progress = self._progress.get(tp, {})
        readers = cast("Reading", self.app).readers[tp.topic]
        return min(progress.values()) if readers <= progress.keys() else None

    def _give_up(self, messages: Collection[Any]) -> None:
        """Do not wait for these in a rebalance, nor at the end.

        The queues of all streams are emptied then. What one agent has ended and another one had not taken yet, Faust
        would wait for as long as anybody holds it: its fetcher, which stands still, holds one of each partition. It is
        not acknowledged, so it comes again.
        """
        if not self.app.flow_control.is_active():
            for message in messages:
                self.discard(message)

    async def wait_empty(self) -> None:
        """Wait until nothing is in flight; after a crash that may never be, and what is comes again anyway."""
        self._give_up([message for message in list(self.unacked) if message not in self._in_flight])
        empty = asyncio.ensure_future(super().wait_empty())
        crashed = asyncio.ensure_future(cast("Reading", self.app).has_crashed.wait())
        try:
            await asyncio.wait({empty, crashed}, return_when=asyncio.FIRST_COMPLETED)
            if empty.done():
                empty.result()
        finally:
            empty.cancel()
            crashed.cancel()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume changelogs at once, and the streams' partitions when they have been sought."""
        self._to_resume = {tp for tp in tps if self.app.topics.acks_enabled_for(tp.topic)}
        super().resume_partitions(set(tps) - self._to_resume)

    async def hold_committed(self) -> None:
        """Have the streams begin at what is committed now, whatever others commit until they do.

        A worker that is frozen in a recovery wakes up with windows as of then. What its successor has committed by that
        time is further than they reach: events from there on would be decided as if nothing had been before them.
        """
        if not self.assignment():
            self._held = {}
            return
        async with self._positions:
            committed = await super().seek_to_committed()
        self._held = {TP(*tp): offset for tp, offset in committed.items()}

    async def perform_seek(self) -> None:
        """Go to the held offsets, or to the earliest ones where none was committed, and fetch from there."""
        await super().perform_seek()
        resuming, self._to_resume = self._to_resume & self.assignment(), set()
        if self._held is not None:
            # What was assigned since has not been recovered, nor sought.
            resuming &= self._held.keys()
        super().resume_partitions(resuming)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition of a stream to its held offset, or to what is committed where none is; returns these."""
        async with self._positions:
            if self._held is None:
                offsets = await super().seek_to_committed()
            else:
                assigned = self.assignment()
                offsets = {tp: at for tp, at in self._held.items() if tp in assigned}
                if begun := {tp: at for tp, at in offsets.items() if at}:
                    await super().seek_wait(begun)
            fresh = [tp for tp, at in offsets.items() if not at and self.app.topics.acks_enabled_for(tp.topic)]
            if fresh:
                await super().seek_wait(await self.earliest_offsets(*fresh))
        return offsets

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek partitions to these offsets."""
        async with self._positions:
            epoch = self._epoch
            await super().seek_wait(partitions)
            if epoch == self._epoch:
                self._fetched.update(dict.fromkeys(partitions, -1))

    async def _seek(self, partition: TP, offset: int) -> None:
        async with self._positions:
            await super()._seek(partition, offset)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's
        """Fetch, and hand on what came of timelines as messages of many records."""
        fetched, active = await self._wait_next_records(timeout)
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:
            await self._seek_back()
            return
        generation = self.app.consumer_generation_id
        wanted = {
            tp: self._unread(tp, records)
            for tp, records in fetched.items()
            if active is None or tp in active or tp in self._buffered_partitions
        }
        for tp in wanted:
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        for tp, message in fetched_messages(wanted, generation_id=generation):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            self._backlog.add(message)
            yield tp, message

    async def _seek_back(self) -> None:
        """Read again what was fetched and cannot be handed on now."""
        try:
            await self.perform_seek()
        except Exception as error:  # noqa: BLE001 - it is sought again when the flow begins
            self.log.warning("nothing could be sought while no records flow: %r", error)

    def _unread(self, tp: TP, records: Sequence[Any]) -> Sequence[Any]:
        """Those from where the partition is to be read."""
        read = self._read_offset[tp]
        return records if read is None or records[0].offset >= read else [r for r in records if r.offset >= read]

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing to note: what agents are done with is counted by the offsets behind it, gaps and all."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109 - Faust's
        """Fetch from the partitions that are active now; Faust goes on changing the set it hands over."""
        async with self._positions:
            epoch, wanted = self._epoch, None if active_partitions is None else self._readable(active_partitions)
            if wanted is not None:
                with_room = {tp for tp in wanted if not self._backlog.is_full(tp)}
                if with_room < wanted:
                    # What is full now may have room long before others have something to read.
                    timeout = HELD_UP_SECONDS
                wanted = with_room
                if not wanted:
                    await self._wait_for_room(timeout)
                    return {}
            try:
                records = await super()._getmany(wanted, timeout)
            except TopicAuthorizationFailedError as error:
                [topic] = error.args
                self._rests.begin(topic, error, now=time.monotonic())
                return {}
        for tp in records:
            self._rests.end(tp.topic)
        if epoch != self._epoch:
            return {}
        self._fetched.update({tp: batch[-1].offset for tp, batch in records.items() if batch})
        return records

    async def _wait_for_room(self, seconds: float) -> None:
        self._moved.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._moved.wait()

    def _readable(self, partitions: set[TP]) -> set[TP]:
        # A topic whose rest is over fails once more for each of its partitions before its records come: aiokafka holds
        # what has failed until somebody has seen it.
        self._rests.due(now=time.monotonic())
        resting = self._rests.topics()
        return {tp for tp in partitions if tp.topic not in resting}


class Transport(aiokafka.Transport):
    """Faust's, with our consumer."""

    Consumer = Consumer
