"""Fetched: what came of a partition at once, on its way through Faust as one message.

Faust's path costs as much for a message as folding and deciding an event. So a message is not a record here, but all
records that were fetched of a partition together, as far as `MOST_RECORDS` and `MOST_BYTES` go; streams get them as one
event, and are told apart what is done by offsets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

import faust
from faust.types import TP, Message
from faust.types.tuples import ConsumerMessage

#: Records of one message: what is in flight is given up, or waited for, message by message.
MOST_RECORDS: Final = 500
#: Bytes of the values of one message, if more than one record has them.
MOST_BYTES: Final = 1024 * 1024
#: Of one partition nothing more is fetched while that much of it is in the streams or in flight: records, and bytes.
BACKLOG_RECORDS: Final = 4000
BACKLOG_BYTES: Final = 8 * 1024 * 1024


class Fetched(ConsumerMessage):
    """Records of one partition, in the order of their offsets. The offset of the message is that of the last one."""

    records: Sequence[Any]

    def __init__(self, tp: TP, records: Sequence[Any], *, generation_id: int) -> None:
        last = records[-1]
        super().__init__(
            tp.topic, tp.partition, last.offset, 0.0, 0, None, None, None, None, 0, 0, tp, generation_id=generation_id
        )
        self.records = records
        #: Of their values.
        self.bytes = sum(len(record.value or b"") for record in records)


class AsFetched(faust.Schema[Any, Any]):
    """Hands messages on as they are, to all streams of a topic alike."""

    def compile(self, app: Any, **_: Any) -> Any:
        """The function that makes an event of a message."""

        async def decode(message: Fetched, *, propagate: bool = False) -> faust.Event:  # noqa: ARG001 - Faust asks so
            return faust.Event(app, None, message.records, None, message)

        return decode


def messages(fetched: Mapping[TP, Sequence[Any]], *, generation_id: int) -> Iterator[tuple[TP, Fetched]]:
    """What was fetched as messages, one of each partition in turn."""
    turns = zip_longest(*(_of(tp, records, generation_id) for tp, records in fetched.items()))
    return ((message.tp, message) for message in chain.from_iterable(turns) if message is not None)


def _of(tp: TP, records: Sequence[Any], generation_id: int) -> Iterator[Fetched]:
    start, size = 0, 0
    for place, record in enumerate(records):
        more = len(record.value or b"")
        if place > start and (place - start >= MOST_RECORDS or size + more > MOST_BYTES):
            yield Fetched(tp, records[start:place], generation_id=generation_id)
            start, size = place, 0
        size += more
    if start < len(records):
        yield Fetched(tp, records[start:], generation_id=generation_id)


class Backlog:
    """How much of each partition was handed on and has not come to its end."""

    def __init__(self) -> None:
        self._open: set[Message] = set()
        self._records: Counter[TP] = Counter()
        self._bytes: Counter[TP] = Counter()

    def add(self, message: Fetched) -> None:
        """Take a message in."""
        self._open.add(message)
        self._records[message.tp] += len(message.records)
        self._bytes[message.tp] += message.bytes

    def end(self, message: Message) -> None:
        """Nothing of a message is in flight any more."""
        if isinstance(message, Fetched) and message in self._open:
            self._open.remove(message)
            self._records[message.tp] -= len(message.records)
            self._bytes[message.tp] -= message.bytes

    def is_full(self, tp: TP) -> bool:
        """Whether nothing more of a partition is to be fetched."""
        return self._records[tp] >= BACKLOG_RECORDS or self._bytes[tp] >= BACKLOG_BYTES

    def clear(self) -> None:
        """Forget everything."""
        self._open.clear()
        self._records.clear()
        self._bytes.clear()
