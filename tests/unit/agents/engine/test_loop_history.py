"""A history is exact: the window before the event, nothing later, the same after a redelivery."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from fakes import Later, idle

from agents.shop.events import ChargebackReceived, PaymentFailed, PaymentSucceeded

MakeRig = Callable[..., Any]


async def test_a_history_is_what_was_remembered_before_the_event_oldest_first(rig: Any) -> None:
    await rig.accept(rig.event(0), rig.event(1, kind=PaymentFailed), rig.event(2))
    assert rig.known("e0") == ""
    assert rig.known("e2") == "e0 e1"


async def test_what_arrives_while_an_event_waits_is_not_in_its_history(make_rig: MakeRig) -> None:
    rig = make_rig(brain=Later())
    committed = rig.writer.hold("e0")
    await rig.accept(*(rig.event(offset) for offset in range(4)))
    assert rig.windows.folded == [0, 1, 2, 3]
    assert rig.writer.asked == ["e0"]
    committed.set()
    await idle()
    assert [rig.known(f"e{offset}") for offset in range(4)] == ["", "e0", "e0 e1", "e0 e1 e2"]


async def test_a_redelivered_event_has_the_history_it_had_the_first_time(rig: Any) -> None:
    rig.writer.hold("e1")
    await rig.accept(*(rig.event(offset) for offset in range(4)))
    await rig.restart()
    rig.writer.held.clear()
    await rig.accept(*(rig.event(offset) for offset in range(1, 5)))
    assert rig.acknowledged == [1, 2, 3, 4]
    assert rig.known("e1") == "e0"
    assert rig.known("e4") == "e0 e1 e2 e3"


async def test_the_bound_of_an_entity_is_just_what_keeps_a_redelivered_history_whole(make_rig: MakeRig) -> None:
    rig = make_rig(events=3)  # eight slots: four newer events may be in the ring
    await rig.accept(*(rig.event(offset) for offset in range(3)))
    rig.writer.hold("e3")
    await rig.accept(*(rig.event(offset) for offset in range(3, 8)))
    assert rig.windows.folded == [0, 1, 2, 3, 4, 5, 6, 7]
    assert not (await rig.offer(rig.event(8))).done()
    await rig.restart()
    rig.writer.held.clear()
    await rig.accept(rig.event(3))
    assert rig.known("e3") == "e0 e1 e2"


async def test_a_history_holds_the_last_events_of_the_window_and_no_more(make_rig: MakeRig) -> None:
    rig = make_rig(events=3)
    await rig.accept(*(rig.event(offset) for offset in range(5)))
    assert rig.known("e4") == "e1 e2 e3"


async def test_a_history_holds_nothing_older_than_the_window(make_rig: MakeRig) -> None:
    rig = make_rig(age=timedelta(minutes=10))
    await rig.accept(rig.event(0, minute=0), rig.event(1, minute=1), rig.event(2, minute=11))
    assert rig.known("e2") == "e1"


async def test_entities_have_windows_of_their_own(rig: Any) -> None:
    await rig.accept(rig.event(0, "ada"), rig.event(1, "adam"), rig.event(2, "ada"), rig.event(3, "adam"))
    assert rig.known("e2") == "e0"
    assert rig.known("e3") == "e1"


async def test_what_passes_by_is_in_no_history(rig: Any) -> None:
    await rig.accept(rig.event(0, kind=ChargebackReceived), rig.event(1))
    assert rig.known("e1") == ""


async def test_a_type_that_is_reacted_to_but_not_remembered_still_sees_the_history(make_rig: MakeRig) -> None:
    rig = make_rig(reacts_to=(PaymentSucceeded,), remembers=(PaymentFailed,))
    await rig.accept(rig.event(0, kind=PaymentFailed), rig.event(1), rig.event(2))
    assert rig.windows.folded == [0]
    assert rig.known("e2") == "e0"
    assert rig.acknowledged == [0, 1, 2]


async def test_a_decision_refers_to_what_the_agent_knew_and_where_the_event_came_from(rig: Any) -> None:
    await rig.accept(rig.event(3, "ada", PaymentFailed), rig.event(5, "ada"))
    record = rig.decision("e5")
    assert record.history["offsets"] == [3]
    assert str(record.origin) == "timeline-customer[0]@5"
    assert (record.agent, record.entity, record.entity_id) == ("watcher", "customer", "ada")
    assert record.decided_at.isoformat() == "2024-05-02T00:00:00+00:00"


async def test_the_same_id_from_another_source_is_remembered_and_decided_beside_it(rig: Any) -> None:
    alike = [rig.event(0), rig.event(1, event_id="e0"), rig.event(2, event_id="e0"), rig.event(3)]
    sources = [None, b"urn:till", b"urn:till", None]
    for delivery, source in zip(alike, sources, strict=True):
        if source:
            delivery.value = delivery.value.replace(b"urn:test:shop", source)
    await rig.accept(*alike)
    assert [(each.event_id, each.event_source) for each in rig.writer.decisions] == [
        ("e0", "urn:test:shop"),
        ("e0", "urn:till"),
        ("e3", "urn:test:shop"),
    ]
    assert rig.known("e3") == "e0 e0"
    assert rig.acknowledged == [0, 1, 2, 3]
