"""Salvage: the records of one batch, each for itself, where aiokafka gives the whole batch up for one of them.

Pure. What cannot be read of a batch becomes records too, whose value is `Unreadable`: the raw bytes and the problem.
The layout is Kafka's record batch, version 2: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import cramjam
from aiokafka.codec import snappy_decode

from tables.errors import Permanent
from tables.event import Unreadable

#: Bytes of a batch when it is unpacked. Producers fill batches of some megabytes; what unpacks to more is meant to hurt
#: or broken (own choice).
UNPACKED_BYTES: Final = 64 * 1024 * 1024

#: Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and last timestamp, producer id
#: and epoch, sequence, number of records.
HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_CODEC: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08
#: Where the attributes stand, in bytes.
_ATTRIBUTES: Final = struct.calcsize(">qiibI")
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
#: Opens what Java's snappy writes, in blocks: a header of 16 bytes, then length and content of each.
_XERIAL: Final = b"\x82SNAPPY\x00"


class Damaged(Permanent):
    """A batch or record that does not follow the layout; the message says where."""

    reason = "unreadable"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A record as aiokafka's own has it."""

    offset: int
    #: Milliseconds since 1970, as it was stamped; -1 where it is not known.
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    checksum: None = None


def unpacked(batch: bytes) -> bytes:
    """The same batch without compression; its checksum is no longer right. Raises `Damaged`."""
    (attributes,) = struct.unpack_from(">h", batch, _ATTRIBUTES)
    if not attributes & _CODEC:
        return batch
    unpack = _UNPACK.get(attributes & _CODEC)
    if unpack is None:
        raise Damaged(f"unknown compression {attributes & _CODEC}")
    try:
        content = unpack(batch[HEADER.size :])
    except Damaged:
        raise
    except Exception as error:
        raise Damaged(f"cannot be unpacked: {error}") from error
    plain = struct.pack(">h", attributes & ~_CODEC)
    return batch[:_ATTRIBUTES] + plain + batch[_ATTRIBUTES + len(plain) : HEADER.size] + content


def salvage(batch: bytes, *, skip: int) -> Iterator[Salvaged]:
    """The records of an unpacked batch behind the first `skip`. Raises nothing."""
    base, *_, attributes, last_delta, first_ms, last_ms, _, _, _, count = HEADER.unpack_from(batch)
    stamps = (last_ms, 1) if attributes & _LOG_APPEND_TIME else (first_ms, 0)
    at, offset = HEADER.size, base - 1
    for index in range(count):
        try:
            length, start = _varint(batch, at)
            at = _end(batch, start, length)
        except (Damaged, IndexError) as error:
            rest = f"offsets {offset + 1} to {max(base + last_delta, offset + 1)} cannot be read: {error}"
            yield Salvaged(offset + 1, -1, 0, None, Unreadable(batch[at:], rest))
            return
        record = _record(batch[start:at], base, stamps, offset + 1)
        offset = record.offset
        if index >= skip:
            yield record


def _record(raw: bytes, base: int, stamps: tuple[int, int], expected: int) -> Salvaged:
    """One record; `expected` is its offset where it does not say a later one."""
    stamp, stamp_type = stamps
    offset = expected
    try:
        delta, at = _varint(raw, 1)
        stamp += 0 if stamp_type else delta
        delta, at = _varint(raw, at)
        offset = max(expected, base + delta)
        key, at = _bytes(raw, at)
        value, at = _bytes(raw, at)
        headers, at = _headers(raw, at)
        if at != len(raw):
            raise Damaged(f"{len(raw) - at} bytes too many")  # noqa: TRY301 - one answer for every problem
    except (Damaged, IndexError) as error:
        return Salvaged(offset, stamp, stamp_type, None, Unreadable(raw, f"the record cannot be read: {error}"))
    return Salvaged(offset, stamp, stamp_type, key, value, headers)


def _headers(raw: bytes, at: int) -> tuple[tuple[tuple[str, bytes | None], ...], int]:
    count, at = _varint(raw, at)
    if not 0 <= count <= len(raw):
        raise Damaged(f"{count} headers")
    headers = []
    for _ in range(count):
        name, at = _bytes(raw, at)
        if name is None:
            raise Damaged("a header without name")
        value, at = _bytes(raw, at)
        headers.append((name.decode("utf-8", "backslashreplace"), value))
    return tuple(headers), at


def _bytes(raw: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(raw, at)
    if length == -1:
        return None, at
    end = _end(raw, at, length)
    return raw[at:end], end


def _end(raw: bytes, start: int, length: int) -> int:
    if not 0 <= length <= len(raw) - start:
        raise Damaged(f"{length} bytes announced where {len(raw) - start} are left")
    return start + length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A zigzag number of up to 64 bits, and where the next one begins. Raises IndexError at the end of `raw`."""
    found = shift = 0
    while shift < 64:
        byte = raw[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
        shift += 7
    raise Damaged("a number of more than 64 bits")


def _gzip(packed: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        content = file.read(UNPACKED_BYTES + 1)
    if len(content) > UNPACKED_BYTES:
        raise _too_large()
    return content


def _snappy(packed: bytes) -> bytes:
    blocks = _xerial_blocks(packed) if packed.startswith(_XERIAL) else [packed]
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > UNPACKED_BYTES:
        raise _too_large()
    content: bytes = snappy_decode(packed)
    return content


def _xerial_blocks(packed: bytes) -> list[bytes]:
    blocks, stream = [], io.BytesIO(packed[16:])
    while size := stream.read(4):
        blocks.append(stream.read(int.from_bytes(size, "big")))
    return blocks


def _into_buffer(unpack_into: Callable[[bytes, bytearray], int], packed: bytes) -> bytes:
    """Unpack into a buffer that grows: a batch that is a few hundred bytes must not cost one of the largest size."""
    room = 16 * len(packed)
    while True:
        buffer = bytearray(min(room, UNPACKED_BYTES))
        try:
            return bytes(memoryview(buffer)[: unpack_into(packed, buffer)])
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
            if room >= UNPACKED_BYTES:
                raise _too_large() from error
            room *= 16


def _too_large() -> Damaged:
    return Damaged(f"unpacks to more than {UNPACKED_BYTES} bytes")


_UNPACK: Final[Mapping[int, Callable[[bytes], bytes]]] = {
    _GZIP: _gzip,
    _SNAPPY: _snappy,
    _LZ4: lambda packed: _into_buffer(cramjam.lz4.decompress_into, packed),
    _ZSTD: lambda packed: _into_buffer(cramjam.zstd.decompress_into, packed),
}
