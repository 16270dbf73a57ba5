"""Recording a slice: everything a replay needs, and no more than was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from incident import AGENTS_OF_ORDERS, ORDER, double_refund
from replaying import NOON
from shop_catalogue import AGENTS, TYPES

from agents.replay.records import TimelineRecord
from agents.replay.sources import MemoryDecisions, MemoryTimeline
from app.timemachine.recording import Recorder, SliceTooLarge
from app.timemachine.replaying import replay
from app.timemachine.slices import Slice, SliceHeader


class Reader(MemoryTimeline):
    """The timeline of orders, with its partition for every entity."""

    async def partition_of(self, _entity_id: str) -> int:
        return 0


def log() -> list[TimelineRecord]:
    """The incident, a minute between its records, and a record of another order before them."""
    records = double_refund().records
    timed = [replace(each, at=NOON + timedelta(minutes=n)) for n, each in enumerate(records)]
    return [replace(timed[0], offset=timed[0].offset - 1, key=b"o-2"), *timed]


def recorder(records: list[TimelineRecord], entity: tuple[str, str] | None = None, **changes: Any) -> Recorder:
    names = changes.pop("agents", AGENTS_OF_ORDERS)
    most = changes.pop("max_records", 1000)
    readers: Any = partial(lambda reader, _kind: reader, Reader(records))
    first = double_refund().decisions[0]
    offsets = {record.offset for record in records}
    of_another = replace(first, event_id="another", offset=min(set(range(min(offsets), max(offsets))) - offsets))
    decisions: Any = MemoryDecisions([*double_refund().decisions, of_another])
    return Recorder(
        reader_of=readers,
        decisions=decisions,
        agents=[AGENTS[name] for name in names],
        header=SliceHeader(agents=names, entity=entity, **changes),
        max_records=most,
    )


async def test_a_slice_of_one_entity_holds_its_records_and_their_decisions() -> None:
    cut = await recorder(log(), ("order", ORDER)).record()

    assert {each.key for each in cut.records} == {ORDER.encode()}
    assert [each.offset for each in cut.records] == [each.offset for each in double_refund().records]
    assert cut.decisions == double_refund().decisions


async def test_a_slice_of_everything_holds_the_others_as_well() -> None:
    cut = await recorder(log()).record()

    assert {each.key for each in cut.records} == {ORDER.encode(), b"o-2"}


async def test_an_entity_of_a_type_no_agent_reads_gives_nothing() -> None:
    cut = await recorder(log(), ("customer", "ada")).record()

    assert (cut.records, cut.decisions) == ([], [])


async def test_only_the_agents_asked_for_are_in_it() -> None:
    cut = await recorder(log(), agents=("recovery",)).record()

    assert {each.agent for each in cut.decisions} == {"recovery"}


@pytest.mark.parametrize(("minutes", "decided"), [(0, 0), (1, 1), (1000, 19)])
async def test_what_came_at_the_end_or_later_is_left_out(minutes: int, decided: int) -> None:
    end: datetime = NOON + timedelta(minutes=minutes)
    cut = await recorder(log(), ("order", ORDER), until=end).record()

    assert all(each.at < end for each in cut.records)
    assert len(cut.records) == min(minutes, 25)
    assert len(cut.decisions) == decided


async def test_what_came_before_the_beginning_is_in_it_and_not_compared() -> None:
    cut = await recorder(log(), ("order", ORDER), since=NOON + timedelta(minutes=21)).record()

    found = await replay(cut, [AGENTS[name] for name in AGENTS_OF_ORDERS], TYPES)

    assert len(cut.records) == 25
    assert len(found) == 3
    assert {str(each.kind) for each in found} == {"same"}


async def test_a_copy_of_an_event_decided_before_the_log_begins_is_no_new_decision() -> None:
    whole = double_refund()
    dropped = next(n for n, each in enumerate(whole.records) if b"o-00048-ErrorOccurred-1" in (each.value or b""))
    copy = replace(whole.records[dropped], offset=whole.records[-1].offset + 1)

    cut = await recorder([*whole.records[dropped + 1 :], copy], ("order", ORDER)).record()
    found = await replay(cut, [AGENTS[name] for name in AGENTS_OF_ORDERS], TYPES)

    assert ("root_cause", "o-00048-ErrorOccurred-1") in {(each.agent, each.event_id) for each in cut.decisions}
    assert not [each for each in found if each.event_id == "o-00048-ErrorOccurred-1"]


async def test_more_than_a_file_should_hold_is_refused() -> None:
    with pytest.raises(SliceTooLarge, match="more than 25 records: choose an entity, or an earlier end"):
        await recorder(log(), max_records=25).record()

    cut: Slice = await recorder(log(), max_records=26).record()
    assert len(cut.records) == 26
