"""A message goes to the partition where any other producer puts its key."""

from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from outbox.sending import partition_of


@given(key=st.binary(max_size=200), count=st.integers(1, 100))
def test_a_key_is_placed_as_kafka_s_own_partitioner_places_it_however_often_it_comes(key: bytes, count: int) -> None:
    partitions = list(range(count))
    placed = DefaultPartitioner()(key, partitions, partitions)
    assert [partition_of(key, partitions), partition_of(key, partitions)] == [placed, placed]


def test_a_key_is_placed_as_java_places_it() -> None:
    # `Utils.toPositive(Utils.murmur2("21".getBytes())) % 8` of Kafka, whose own test has the hash -973932308.
    assert partition_of(b"21", list(range(8))) == (-973932308 & 0x7FFFFFFF) % 8
