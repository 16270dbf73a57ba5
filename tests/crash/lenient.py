"""Lenient: reads and writes headers whose names are not UTF-8, which Kafka takes and aiokafka does not.

Only aiokafka's own code in Python can be talked into it, so it replaces the compiled one meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


class OddName(str):
    """A header's name that is sent as bytes that are no text."""

    __slots__ = ()

    def encode(self, *_encoding: str) -> bytes:
        return super().encode() + b"\xff\xfe"


#: On records that are events like any other.
ODD: Final = (OddName("trace"), b"1")


class _Bytes(bytearray):
    """Shows what is no text escaped."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Bytes(found) if isinstance(place, slice) else found

    def decode(self, *_encoding: str) -> str:
        return super().decode("utf-8", "backslashreplace")


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc] # aiokafka is untyped
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


@contextmanager
def lenient_reading() -> Iterator[None]:
    """Consumers show such names escaped."""
    with (
        patch("aiokafka.record.memory_records.DefaultRecordBatch", _Batch),
        patch("aiokafka.consumer.fetcher.MemoryRecords", _MemoryRecordsPy),
    ):
        yield


@contextmanager
def odd_writing() -> Iterator[None]:
    """Producers send `OddName`s as they are."""
    with (
        patch("aiokafka.producer.message_accumulator.DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy),
        patch("aiokafka.producer.producer.DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy),
    ):
        yield
