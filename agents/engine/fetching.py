"""Fetching: every record Kafka has, whatever the ones beside it are like; and what is in no finished transaction waits.

aiokafka 0.14 gives a fetch up for one record: a header name that is not UTF-8, a record or checksum that is broken, an
unknown codec end every attempt at the same place, and a small batch may unpack to any size. Here each record that can
be read is handed on, and what cannot becomes a record whose value is `tables.event.Unreadable`, so that it ends as a
dead letter and the offset is passed over. A batch whose checksum is wrong is fetched `ATTEMPTS` times first.

aiokafka has no place to say this; so the class its fetcher unpacks with is replaced, for every consumer of the process,
when this module is imported.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

import agents.engine.wire  # noqa: F401 - how fetches are read and written
from agents.engine.salvage import HEADER, Damaged, Salvaged, salvage, unpacked
from tables.event import Unreadable

log = logging.getLogger(__name__)

#: What every consumer is told: events of transactions that are aborted or open do not exist (yet).
COMMITTED_ONLY: Final[Mapping[str, Any]] = {"isolation_level": "read_committed"}

#: How often a batch with a wrong checksum is fetched before it is passed over: it may be right the next time.
ATTEMPTS: Final = 3
#: Broken batches whose attempts are counted at the same time, over all partitions.
_COUNTED: Final = 1000

#: What opens a batch of any version: offset, length of the rest, leader epoch (or checksum), version.
_OPENING: Final = struct.Struct(">qiib")
_LENGTH: Final = struct.Struct(">i")
#: Offset and length, which the length does not count.
_OVERHEAD: Final = 12


class Batches:
    """The batches of one partition in one fetch, as aiokafka's `MemoryRecords` hands them out; none of them raises."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched
        self._at = 0
        self._next: bytes | None = None
        self._advance()

    def size_in_bytes(self) -> int:
        """Bytes of the fetch, an incomplete batch at its end included."""
        return len(self._fetched)

    def has_next(self) -> bool:
        """Whether another whole batch is there."""
        return self._next is not None

    def next_batch(self) -> Any:
        """The next batch; None when there is none."""
        found = self._next
        if found is None:
            return None
        self._advance()
        batch = _opened(found, None if self._next is None else _base_of(self._next))
        if batch.next_offset == batch.base_offset:
            # It is fetched again, and what comes behind it with it.
            self._next = None
        return batch

    def _advance(self) -> None:
        start, self._next = self._at, None
        if len(self._fetched) - start < _OPENING.size:
            return
        (length,) = _LENGTH.unpack_from(self._fetched, start + 8)
        end = start + _OVERHEAD + length
        if length >= _OPENING.size - _OVERHEAD and end <= len(self._fetched):
            self._next, self._at = self._fetched[start:end], end


class Records:
    """Records as aiokafka sees a batch: of an old version, or what stands in the place of a batch that is broken."""

    is_control_batch = False
    is_transactional = False
    #: Of no producer, so no transaction decides about it.
    producer_id = None

    def __init__(self, records: Sequence[Any], base_offset: int, next_offset: int) -> None:
        self._records = records
        self.base_offset = base_offset
        self.next_offset = next_offset

    def validate_crc(self) -> bool:
        """Nothing is left to validate."""
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(self._records)


class Batch:
    """A batch of aiokafka's whose records come one by one, also behind one that it cannot read."""

    def __init__(self, raw: bytes, batch: Any) -> None:
        self._raw = raw
        self._batch = batch
        self.is_control_batch: bool = batch.is_control_batch
        self.is_transactional: bool = batch.is_transactional
        self.producer_id: int | None = batch.producer_id
        self.next_offset: int = batch.next_offset
        self.base_offset: int = _base_of(raw)

    def validate_crc(self) -> bool:
        """Validated when it was opened."""
        return True

    def __next__(self) -> Any:
        """The record of a control batch: the mark of a transaction."""
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        handed_on = 0
        try:
            records = iter(self._batch)
            for record in records:
                handed_on += 1
                yield record
        except Exception as error:  # noqa: BLE001 - whatever it is, this batch must not end the reading
            log.debug("a batch at %d is read record by record: %r", self.base_offset, error)
            yield from salvage(self._raw, skip=handed_on)


def _opened(raw: bytes, next_base: int | None) -> Any:
    """The batch as aiokafka's, or what stands in its place. `next_base` is where the one behind it begins, if known."""
    version = raw[_OPENING.size - 1]
    try:
        if version < 2:
            records = list(_checked(LegacyRecordBatch(raw, version)))
            return Records(records, _base_of(raw), _base_of(raw) + 1)
        if version > 2 or len(raw) < HEADER.size:
            raise Damaged(f"a batch of version {version} with {len(raw)} bytes")  # noqa: TRY301 - one answer for all
        _checked(DefaultRecordBatch(raw))
        plain = unpacked(raw)
        return Batch(plain, DefaultRecordBatch(plain))
    except _WrongChecksum as error:
        attempts = _attempts(raw)
        if attempts < ATTEMPTS:
            log.warning("a batch from offset %d on is fetched again: %s", _base_of(raw), error)
            return Records((), _base_of(raw), _base_of(raw))
        return _passed_over(raw, str(error), next_base, attempts - ATTEMPTS)
    except Exception as error:  # noqa: BLE001 - whatever it is, this batch must not end the reading
        return _passed_over(raw, str(error) or repr(error), next_base, 0)


class _WrongChecksum(Exception):
    """What came is not what was written."""


def _checked(batch: Any) -> Any:
    if not batch.validate_crc():
        raise _WrongChecksum("its checksum is wrong")
    return batch


def _passed_over(raw: bytes, problem: str, next_base: int | None, again: int) -> Records:
    """One record in place of the batch, and the offset behind it.

    Where the batch ends is said by itself, and believed only if the number of its records says the same: an offset that
    is too high would pass over what nobody has seen. Else it is passed over offset by offset, `again` of them so far.
    """
    base = _base_of(raw)
    end = next_base if next_base is not None and next_base > base else _end_of(raw)
    first, end = (base, end) if end is not None else (base + again, base + again + 1)
    text = f"offsets {first} to {end - 1} cannot be read: {problem}"
    log.warning("%s", text)
    return Records((Salvaged(first, -1, 0, None, Unreadable(raw, text)),), base, end)


def _end_of(raw: bytes) -> int | None:
    if len(raw) < HEADER.size:
        return None
    base, *_, last_delta, _, _, _, _, _, count = HEADER.unpack_from(raw)
    return base + count if count > 0 and last_delta == count - 1 else None


def _base_of(raw: bytes) -> int:
    return int(_OPENING.unpack_from(raw)[0])


#: How often each broken batch was fetched, by its checksum and place.
_seen: OrderedDict[tuple[int, int], int] = OrderedDict()


def _attempts(raw: bytes) -> int:
    key = (_base_of(raw), zlib.crc32(raw))
    _seen[key] = _seen.pop(key, 0) + 1
    while len(_seen) > _COUNTED:
        _seen.popitem(last=False)
    return _seen[key]


fetcher.MemoryRecords = Batches
