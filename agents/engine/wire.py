"""Wire: fetches as they travel, each partition in a few steps.

aiokafka 0.14 reads and writes every field by itself, ten of them for a partition, whether or not it has anything new;
and a fetch asks for all partitions each time. With seven topics of eight that was most of what a router did at 60
events a second. Here the numbers that stand beside each other are read and written at once. The bytes and values are
the same.

aiokafka has no place to say this; so the layouts of its fetches are replaced, for every consumer of the process, when
this module is imported.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import groupby
from typing import Any, Final

from aiokafka.protocol import fetch
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Int64, Schema

#: How `struct` calls the numbers of fixed size.
_CODES: Final = {Int8: "b", Int16: "h", Int32: "i", Int64: "q"}

#: The layouts of these versions are replaced; older brokers than Kafka 0.11 know only others.
_VERSIONS: Final = range(4, 12)


class Rows(Array):  # type: ignore[misc]  # aiokafka has no types
    """An array of structures, in the layout of aiokafka's own."""

    def __init__(self, row: Schema) -> None:
        self.array_of = _in_rows(row)
        self._steps = list(_steps(self.array_of))
        self._is_plain = [type(step) for step in self._steps] == [struct.Struct]

    def decode(self, data: BytesIO) -> list[Any] | None:
        """Read the structures. Raises ValueError where they end too soon."""
        length = Int32.decode(data)
        return None if length == -1 else [self._row(data) for _ in range(length)]

    def _row(self, data: BytesIO) -> tuple[Any, ...]:
        values: list[Any] = []
        for step in self._steps:
            if isinstance(step, struct.Struct):
                try:
                    values += step.unpack(data.read(step.size))
                except struct.error as error:
                    raise ValueError(f"the numbers of a structure end too soon: {error}") from error
            else:
                values.append(step.decode(data))
        return tuple(values)

    def encode(self, items: Sequence[Any] | None) -> bytes:
        """Write the structures. Raises ValueError for a number that has no room."""
        if items is None or not self._is_plain:
            return bytes(super().encode(items))
        pack = self._steps[0].pack
        try:
            return b"".join([Int32.encode(len(items)), *[pack(*item) for item in items]])
        except struct.error as error:
            raise ValueError(f"a number has no room in its structure: {error}") from error


def _steps(row: Schema) -> Iterator[Any]:
    """What reads one structure: numbers that stand beside each other at once, anything else by itself."""
    for is_number, fields in groupby(row.fields, key=lambda field: field in _CODES):
        if is_number:
            yield struct.Struct(">" + "".join([_CODES[field] for field in fields]))
        else:
            yield from fields


def _in_rows(layout: Schema) -> Schema:
    """The same layout, with every array of structures read and written in few steps."""
    fields = [
        Rows(field.array_of) if type(field) is Array and isinstance(field.array_of, Schema) else field
        for field in layout.fields
    ]
    return Schema(*zip(layout.names, fields, strict=True))


for _version in _VERSIONS:
    for _kind in ("Request", "Response"):
        _struct = getattr(fetch, f"Fetch{_kind}_v{_version}")
        _struct.SCHEMA = _in_rows(_struct.SCHEMA)
