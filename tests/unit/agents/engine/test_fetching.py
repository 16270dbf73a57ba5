"""Fetching: of a batch every record that can be read is handed on, and what cannot be is passed over by name."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from typing import Any

import cramjam
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.codec import snappy_encode
from aiokafka.consumer import fetcher
from aiokafka.record import default_records
from aiokafka.record._crc32c import crc
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from agents.engine import salvage
from agents.engine.fetching import ATTEMPTS, Batches
from tables.event import InvalidEvent, Unreadable, parse

PLACE = TopicPartition("payments", 0)
NOON_MS = 1_714_564_800_000
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


class Name(str):
    """A header name that is written as other bytes than its own."""

    __slots__ = ("raw",)
    raw: bytes

    def encode(self, *_: Any) -> bytes:
        return self.raw


def name(raw: bytes) -> Name:
    made = Name("name")
    made.raw = raw
    return made


def record(index: int, value: bytes | None = None, headers: Sequence[tuple[str, bytes | None]] = ()) -> bytes:
    """One record by hand: length, attributes, stamp, offset, key, value, headers."""
    text = b"v%d" % index if value is None else value
    body = b"\0" + varint(index) + varint(index) + varint(2) + b"k%d" % index + varint(len(text)) + text
    body += varint(len(headers))
    for key, content in headers:
        raw = key.encode()
        body += varint(len(raw)) + raw
        body += varint(-1) if content is None else varint(len(content)) + content
    return varint(len(body)) + body


def varint(number: int) -> bytes:
    found = (number << 1) ^ (number >> 63)
    out = bytearray()
    while found > 0x7F:
        out.append(found & 0x7F | 0x80)
        found >>= 7
    out.append(found)
    return bytes(out)


def batch(records: Sequence[bytes], base: int = 0, *, codec: int = 0, packed: bytes | None = None) -> bytes:
    """A batch of Kafka with these records, as a broker hands it out."""
    content = b"".join(records) if packed is None else packed
    count = len(records)
    covered = struct.pack(">hiqqqhii", codec, count - 1, NOON_MS, NOON_MS + count, -1, -1, -1, count) + content
    rest = struct.pack(">ibI", 0, 2, crc(covered)) + covered
    return struct.pack(">qi", base, len(rest)) + rest


def damaged(whole: bytes) -> bytes:
    """The same with its last bit turned."""
    return whole[:-1] + bytes([whole[-1] ^ 1])


def read(fetched: bytes, offset: int = 0, records: Any = None) -> tuple[list[ConsumerRecord], int]:
    """What aiokafka's fetcher makes of a fetch from this offset on, and where it reads on."""
    found = fetcher.PartitionRecords(
        PLACE, records or Batches(fetched), [], offset, None, None,
        check_crcs=True, isolation_level=fetcher.READ_COMMITTED,
    )  # fmt: skip
    return list(found), found.next_fetch_offset


def values(fetched: bytes, offset: int = 0) -> list[bytes | None]:
    return [each.value for each in read(fetched, offset)[0]]


def test_aiokafka_itself_gives_the_fetch_up_for_a_header_name_that_is_not_utf_8() -> None:
    whole = batch([record(0), record(1, headers=[(name(b"trace\xff"), b"1")]), record(2)])
    with pytest.raises(UnicodeDecodeError):
        read(whole, records=MemoryRecords(whole))


def test_every_consumer_of_the_process_reads_with_our_batches() -> None:
    assert fetcher.MemoryRecords is Batches


def test_a_record_comes_with_everything_it_has() -> None:
    [found], _ = read(batch([record(0, headers=[("a", b"1"), ("b", None)])], base=7), 7)

    assert (found.topic, found.partition, found.offset, found.timestamp) == ("payments", 0, 7, NOON_MS)
    assert (found.key, found.value, found.headers) == (b"k0", b"v0", (("a", b"1"), ("b", None)))


def test_a_header_name_that_is_not_utf_8_is_escaped_and_its_neighbours_are_as_they_were() -> None:
    whole = batch([record(0), record(1, headers=[(name(b"trace\xff\xfe"), b"1"), ("b", None)]), record(2)])

    found, position = read(whole)

    assert [(each.offset, each.key, each.value) for each in found] == [
        (0, b"k0", b"v0"), (1, b"k1", b"v1"), (2, b"k2", b"v2"),
    ]  # fmt: skip
    assert [each.timestamp for each in found] == [NOON_MS, NOON_MS + 1, NOON_MS + 2]
    assert found[1].headers == (("trace\\xff\\xfe", b"1"), ("b", None))
    assert position == 3


def test_a_record_that_is_broken_is_a_raw_one_of_its_own() -> None:
    broken = bytearray(record(1))
    broken[-1] = 4  # two headers are announced, none follows

    found, position = read(batch([record(0), bytes(broken), record(2)]))

    assert [(each.offset, type(each.value)) for each in found] == [(0, bytes), (1, Unreadable), (2, bytes)]
    assert found[1].value == bytes(broken[1:])
    assert position == 3


def test_where_records_no_longer_have_lengths_the_rest_of_the_batch_is_one_raw_record() -> None:
    lost = varint(5000) + b"rubbish"

    found, position = read(batch([record(0), lost, record(2)], base=20) + batch([record(0)], base=23), 20)

    assert [(each.offset, type(each.value)) for each in found] == [(20, bytes), (21, Unreadable), (23, bytes)]
    assert "offsets 21 to 22 cannot be read" in found[1].value.problem
    assert position == 24


@pytest.mark.parametrize(
    ("codec", "pack"),
    [
        (GZIP, gzip.compress),
        (SNAPPY, snappy_encode),
        (SNAPPY, lambda content: bytes(cramjam.snappy.compress_raw(content))),
        (LZ4, lambda content: bytes(cramjam.lz4.compress(content))),
        (ZSTD, lambda content: bytes(cramjam.zstd.compress(content))),
    ],
    ids=["gzip", "snappy of java", "snappy", "lz4", "zstd"],
)
def test_every_codec_is_read_and_none_unpacks_without_end(
    codec: int, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [record(0), record(1, headers=[(name(b"\xff"), b"1")]), record(2, b"x" * 5000)]
    whole = batch(records, codec=codec, packed=pack(b"".join(records)))
    assert values(whole) == [b"v0", b"v1", b"x" * 5000]

    monkeypatch.setattr(salvage, "UNPACKED_BYTES", 4000)

    found, position = read(whole)
    assert [type(each.value) for each in found] == [Unreadable]
    assert found[0].value.problem == "offsets 0 to 2 cannot be read: unpacks to more than 4000 bytes"
    assert position == 3


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD, 7])
def test_a_batch_that_cannot_be_unpacked_is_one_raw_record_and_the_next_one_is_read(codec: int) -> None:
    whole = batch([record(0), record(1)], codec=codec, packed=b"no codec writes this")

    found, position = read(whole + batch([record(0)], base=2))

    assert [(each.offset, type(each.value)) for each in found] == [(0, Unreadable), (2, bytes)]
    assert found[0].value.problem.startswith("offsets 0 to 1 cannot be read: ")
    assert found[0].value == whole
    assert position == 3


def test_a_batch_with_a_wrong_checksum_is_fetched_again_and_then_passed_over_by_name() -> None:
    whole = batch([record(0)], base=30) + damaged(batch([record(0), record(1)], base=31)) + batch([record(0)], base=33)

    for _ in range(ATTEMPTS - 1):
        found, position = read(whole, 30)
        assert ([each.offset for each in found], position) == ([30], 31)

    found, position = read(whole, 30)
    assert [(each.offset, type(each.value)) for each in found] == [(30, bytes), (31, Unreadable), (33, bytes)]
    assert found[1].value.problem == "offsets 31 to 32 cannot be read: its checksum is wrong"
    assert position == 34


def test_a_batch_that_is_right_the_second_time_is_read() -> None:
    right = batch([record(0), record(1)], base=40)
    assert read(damaged(right), 40) == ([], 40)
    assert values(right, 40) == [b"v0", b"v1"]


def test_a_broken_batch_that_does_not_say_where_it_ends_passes_over_nothing_behind_it() -> None:
    whole = bytearray(damaged(batch([record(0), record(1)], base=50)))
    struct.pack_into(">i", whole, 23, 9)  # the last of two records would have offset 59

    places = []
    position = 50
    for _ in range(ATTEMPTS + 1):
        found, position = read(bytes(whole), position)
        places += [each.offset for each in found]

    assert places == [50, 51]
    assert position == 52


def test_records_before_the_place_that_was_asked_for_are_left_out() -> None:
    assert values(batch([record(0), record(1), record(2)], base=5), 6) == [b"v1", b"v2"]


def test_an_old_batch_is_read() -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 1000)
    builder.append(0, NOON_MS, b"k", b"v")

    [found], position = read(bytes(builder.build()))

    assert (found.offset, found.key, found.value, found.headers) == (0, b"k", b"v", ())
    assert position == 1


def test_an_incomplete_batch_at_the_end_is_left_for_the_next_fetch() -> None:
    whole = batch([record(0)])
    assert values(whole + batch([record(0)], base=1)[:-3]) == [b"v0"]
    assert not Batches(whole[:-1]).has_next()
    assert not Batches(b"").has_next()


def test_what_aiokafka_writes_is_read_as_it_was_written() -> None:
    builder = default_records.DefaultRecordBatchBuilder(2, ZSTD, 0, -1, -1, -1, 100_000)
    for index in range(3):
        builder.append(index, NOON_MS, b"k", b"v%d" % index, headers=[("h", b"1")])
    assert values(bytes(builder.build())) == [b"v0", b"v1", b"v2"]


def test_an_unreadable_value_is_no_event_and_its_bytes_stay() -> None:
    value = Unreadable(b"{}", "the record cannot be read")
    with pytest.raises(InvalidEvent, match="the record cannot be read") as raised:
        parse(value, ())
    assert raised.value.reason == "unreadable"
    assert value == b"{}"
