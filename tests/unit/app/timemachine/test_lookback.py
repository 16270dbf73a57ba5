"""Looking back over a log in memory: the right events, whatever lies between them, and lines a terminal can show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from agents.replay.comparison import HistoryKind
from agents.replay.records import RecordedDecision, TimelineRecord
from agents.replay.sources import MemoryTimeline
from app.timemachine.knowledge import Knowledge, knowledge_of, line
from app.timemachine.lookback import AmbiguousEvent, UnknownEvent, look_back

SHOP = "urn:shop"
NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


class Reader(MemoryTimeline):
    """A timeline with one partition; counts what is read."""

    topic = "timeline-order"

    def __init__(self, records: Sequence[TimelineRecord]) -> None:
        super().__init__(records)
        self.read_records = 0

    async def partition_of(self, _entity_id: str) -> int:
        return 0

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[TimelineRecord]:
        async for record in super().read(partition, start, end):
            self.read_records += 1
            yield record

    async def read_offsets(self, partition: int, offsets: Collection[int]) -> Sequence[TimelineRecord]:
        return [
            each async for each in super().read(partition, min(offsets), max(offsets) + 1) if each.offset in offsets
        ]


class Decisions:
    """Knows the places of some events."""

    def __init__(self, **places: int) -> None:
        self._places = places

    async def places_of(
        self, _entity: str, _entity_id: str, event_id: str, event_source: str | None
    ) -> list[tuple[str, int, int]]:
        return [(event_source or SHOP, 0, self._places[event_id])] if event_id in self._places else []


def record(
    offset: int, event_id: str = "", key: bytes = b"o-1", value: bytes | None = b"", source: str = SHOP
) -> TimelineRecord:
    if value == b"":
        event = {"id": event_id or f"e{offset}", "source": source, "type": "T", "time": "2024-05-01T12:00:00Z"}
        value = orjson.dumps(event | {"data": {}})
    return TimelineRecord(topic="timeline-order", partition=0, offset=offset, at=NOON, key=key, value=value)


def sparse(every: int, count: int, first: int = 0) -> list[TimelineRecord]:
    """A log of many entities, in which each `every`-th record is of o-1."""
    return [record(n, key=b"o-1" if n % every == 0 else b"o-2") for n in range(first, first + count)]


async def found(reader: Reader, places: dict[str, int] | None = None, **asked: Any) -> list[int]:
    decisions: Any = Decisions(**(places or {}))
    back = await look_back(reader, decisions, "order", "o-1", **asked)  # type: ignore[arg-type]
    return [each.offset for each in back.events]


@pytest.mark.parametrize("first", [0, 5_000])
async def test_events_far_apart_are_found_in_order(first: int) -> None:
    reader = Reader(sparse(1_000, 15_000, first))

    expected = [first + n * 1_000 for n in range(15)]
    assert await found(reader) == expected
    assert await found(reader, events=8) == expected[-8:]


async def test_nothing_is_lost_between_the_stretches() -> None:
    assert await found(Reader(sparse(1, 7_000)), events=6_500) == list(range(500, 7_000))


async def test_no_more_is_read_than_is_needed() -> None:
    reader = Reader(sparse(10, 100_000))

    assert await found(reader, {"e50000": 50_000}, before="e50000", events=50) == list(range(49_500, 50_000, 10))
    assert reader.read_records < 3_000


async def test_an_event_nobody_decided_on_is_looked_for() -> None:
    reader = Reader(sparse(10, 3_000))

    assert await found(reader, before="e2000", events=3) == [1_970, 1_980, 1_990]


async def test_the_event_itself_and_others_entities_events_are_not_among_them() -> None:
    reader = Reader([record(0), record(1, key=b"o-2"), record(2), record(3, "e0"), record(4)])

    assert await found(reader, before="e4") == [0, 2, 3]
    assert await found(reader, {"e0": 0}, before="e0") == []


@pytest.mark.parametrize("place", [2, 999])
async def test_a_place_that_holds_something_else_is_not_believed(place: int) -> None:
    reader = Reader([record(0), record(1), record(2), record(3)])

    assert await found(reader, {"e3": place}, before="e3") == [0, 1, 2]


async def test_what_is_no_event_is_passed_by_and_shown() -> None:
    reader = Reader([record(0, value=None), record(1, value=b"{"), record(2, value=b"[]"), record(3)])

    assert await found(reader, before="e3") == [0, 1, 2]
    with pytest.raises(UnknownEvent, match=r"order o-1 has no event e9 in timeline-order\[0\] \(offsets 0 to 3\)"):
        await found(reader, before="e9")


def told(value: bytes | None) -> str:
    return line(record(7, value=value))


def test_a_line_holds_time_type_id_and_data() -> None:
    event = {"id": "e-1", "type": "OrderPlaced", "time": "2024-05-01T12:00:00Z", "data": {"n": 1, "to": ["a", None]}}

    assert told(orjson.dumps(event)).split() == [
        "@7", "2024-05-01T12:00:00Z", "OrderPlaced", "e-1", "n=1", 'to=["a",null]',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [None, b"{", b"\xff\x1b[2J", b"[1]", b'{"id":"\\u001b[2J","data":{"a":"\\u202e\\n"}}', b'{"data":{"a\\u0000":{}}}'],
)
def test_whatever_a_record_holds_is_one_line_that_a_terminal_can_show(value: bytes | None) -> None:
    assert told(value).isprintable()


def test_a_long_text_is_cut() -> None:
    shown = told(orjson.dumps({"id": "e", "data": {"text": "x" * 5000}}))

    assert len(shown) < 200
    assert shown.endswith("…")


def knowledge(offsets: Sequence[int], **changes: Any) -> RecordedDecision:
    values: dict[str, Any] = dict.fromkeys(("agent", "event_id", "status", "brain", "outcome", "reason"), "x")
    values |= dict.fromkeys(("model", "fallback_reason"))
    return RecordedDecision(
        **values
        | {"topic": "timeline-order", "partition": 0, "offset": 9, "confidence": 1.0, "messages": ()}
        | {"history_offsets": offsets, "history_sha256": ""}
        | changes
    )


async def known(reader: Reader, decision: RecordedDecision) -> Knowledge:
    return await knowledge_of(decision, reader)  # type: ignore[arg-type]


async def test_offsets_that_are_gone_are_named_in_ranges() -> None:
    what = await known(Reader([record(5), record(9)]), knowledge([1, 2, 3, 5, 7]))

    assert what.kind is HistoryKind.DROPPED
    assert [each.offset for each in what.history] == [5]
    assert what.sentence == (
        "INCOMPLETE: Kafka no longer has 4 of the 5 events of this history: timeline-order[0]@1-3,7."
        " It cannot be verified."
    )


async def test_the_event_decided_on_may_be_gone_while_the_history_is_not() -> None:
    what = await known(Reader([record(5)]), knowledge([5]))

    assert (what.event, what.dropped, what.kind) == (None, (), HistoryKind.DIFFERS)
    assert what.sentence.startswith("DIFFERENT: timeline-order[0] now holds other events")


async def test_an_id_that_several_sources_have_needs_its_source() -> None:
    log = [record(0), record(1, "1001"), record(2), record(3, "1001", source="urn:till"), record(4)]
    with pytest.raises(AmbiguousEvent, match="urn:shop, urn:till"):
        await found(Reader(log), before="1001")
    assert await found(Reader(log), before="1001", source="urn:shop") == [0]
    assert await found(Reader(log), {"1001": 3}, before="1001", source="urn:till") == [0, 1, 2]
    with pytest.raises(UnknownEvent):
        await found(Reader(log), before="1001", source="urn:nobody")
