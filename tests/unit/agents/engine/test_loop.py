"""When the stream loop acknowledges, what it runs side by side, and what it holds back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fakes import Batch, Later, idle
from waiting import PATIENCE_SECONDS

from agents.model.decision import Decision, Verdict
from agents.model.history import History
from agents.shop.events import PaymentFailed, PaymentSucceeded
from agents.shop.refunds import refund

MakeRig = Callable[..., Any]


async def test_an_event_is_acknowledged_only_when_its_decision_is_committed(rig: Any) -> None:
    committed = rig.writer.hold("e0")
    await rig.accept(rig.event(0))
    assert rig.writer.asked == ["e0"]
    assert rig.acknowledged == []
    committed.set()
    await idle()
    assert rig.acknowledged == [0]


async def test_an_event_is_acknowledged_only_when_the_changelog_has_its_entry(rig: Any) -> None:
    stored = rig.windows.hold(0)
    await rig.accept(rig.event(0))
    assert [record.event_id for record in rig.writer.decisions] == ["e0"]
    assert rig.acknowledged == []
    stored.set_result(None)
    await idle()
    assert rig.acknowledged == [0]


async def test_an_event_is_acknowledged_only_after_every_earlier_one_of_its_partition(rig: Any) -> None:
    committed = rig.writer.hold("e0")
    await rig.accept(rig.event(0, "ada"), rig.event(1, "bob"), rig.event(2, "cyd", PaymentFailed))
    assert [record.event_id for record in rig.writer.decisions] == ["e1"]
    assert rig.acknowledged == []
    committed.set()
    await idle()
    assert rig.acknowledged == [0, 1, 2]


async def test_a_partition_does_not_wait_for_another(rig: Any) -> None:
    rig.writer.hold("e0")
    await rig.accept(rig.event(0, "ada"), rig.event(7, "bob", partition=1))
    assert rig.consumer.acknowledged == [(1, 7)]


async def test_where_a_brain_waits_events_of_one_entity_are_decided_one_after_another_while_others_go_on(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(brain=Later())
    committed = rig.writer.hold("e0")
    await rig.accept(rig.event(0, "ada"), rig.event(1, "ada"), rig.event(2, "bob"), rig.event(3, "bob"))
    assert rig.writer.asked == ["e0", "e2", "e3"]
    committed.set()
    await idle()
    assert rig.writer.asked == ["e0", "e2", "e3", "e1"]


async def test_an_event_that_is_only_remembered_is_acknowledged_after_the_changelog_has_it(rig: Any) -> None:
    stored = rig.windows.hold(0)
    await rig.accept(rig.event(0, kind=PaymentFailed))
    assert (rig.windows.folded, rig.acknowledged) == ([0], [])
    stored.set_result(None)
    await idle()
    assert rig.acknowledged == [0]
    assert rig.writer.asked == []


@pytest.mark.parametrize("kind", ["ChargebackReceived", "SomethingNobodyKnows"])
async def test_an_event_neither_remembered_nor_reacted_to_passes_by(rig: Any, kind: str) -> None:
    await rig.accept(rig.event(0, kind=kind))
    assert rig.acknowledged == [0]
    assert (rig.windows.folded, rig.writer.asked, rig.writer.letters) == ([], [], [])


async def test_a_copy_is_decided_again_under_the_same_id_and_acknowledged(rig: Any) -> None:
    await rig.accept(rig.event(0), rig.event(1, event_id="e0", minute=0))
    assert rig.writer.asked == ["e0", "e0"]
    assert len(rig.writer.decisions) == 1
    assert rig.acknowledged == [0, 1]


async def test_no_more_than_the_bound_is_in_flight(make_rig: MakeRig) -> None:
    rig = make_rig(in_flight=2)
    committed = rig.writer.hold("e0")
    rig.writer.hold("e1")
    await rig.accept(rig.event(0, "ada"), rig.event(1, "bob"))
    third = await rig.offer(rig.event(2, "cyd"))
    assert not third.done()
    assert rig.windows.folded == [0, 1]
    committed.set()
    await idle()
    assert third.done()
    assert rig.windows.folded == [0, 1, 2]


@pytest.mark.parametrize(
    "offer", ["event", "failure", "passer-by", "dead letter", "stale"], ids=lambda what: f"after a {what}"
)
async def test_whatever_is_done_with_makes_room_again(make_rig: MakeRig, offer: str) -> None:
    rig = make_rig(in_flight=1)
    first = {
        "event": rig.event(0),
        "failure": rig.event(0, kind=PaymentFailed),
        "passer-by": rig.event(0, kind="SomethingNobodyKnows"),
        "dead letter": rig.raw(0, b"{"),
        "stale": rig.event(0),
    }[offer]
    first.stale = offer == "stale"
    await rig.accept(first, rig.event(1))
    assert rig.acknowledged[-1] == 1


@pytest.mark.parametrize(("events", "bound"), [(1, 1), (2, 2), (3, 5)])
async def test_an_entity_has_no_more_undecided_events_than_its_ring_can_still_tell_apart(
    make_rig: MakeRig, events: int, bound: int
) -> None:
    rig = make_rig(events=events)
    committed = rig.writer.hold("e0")
    await rig.accept(*(rig.event(offset) for offset in range(bound)))
    one_more = await rig.offer(rig.event(bound))
    assert not one_more.done()
    assert rig.windows.folded == list(range(bound))
    committed.set()
    await idle()
    assert one_more.done()
    assert rig.acknowledged == list(range(bound + 1))


async def test_a_window_of_one_event_is_decided_to_the_end(make_rig: MakeRig) -> None:
    rig = make_rig(events=1)
    await rig.accept(*(rig.event(offset) for offset in range(5)))
    assert rig.acknowledged == [0, 1, 2, 3, 4]
    assert [rig.known(f"e{offset}") for offset in range(5)] == ["", "e0", "e1", "e2", "e3"]


async def test_a_stale_delivery_is_discarded_and_nothing_is_written(rig: Any) -> None:
    delivery = rig.event(0)
    delivery.stale = True
    await rig.accept(delivery)
    assert rig.consumer.discarded == [(0, 0)]
    assert rig.acknowledged == []
    assert (rig.windows.folded, rig.writer.asked, rig.writer.letters) == ([], [], [])


async def test_a_delivery_that_grows_stale_while_it_waits_is_discarded(make_rig: MakeRig) -> None:
    rig = make_rig(events=1)
    committed = rig.writer.hold("e0")
    await rig.accept(rig.event(0))
    delivery = rig.event(1)
    waiting = await rig.offer(delivery)
    delivery.stale = True
    committed.set()
    await asyncio.wait_for(waiting, timeout=PATIENCE_SECONDS)
    assert rig.consumer.discarded == [(0, 1)]
    assert rig.windows.folded == [0]


async def test_stopping_drops_what_is_in_flight_unacknowledged(rig: Any) -> None:
    committed = rig.writer.hold("e0")
    await rig.accept(rig.event(0), rig.event(1))
    await rig.loop.stop()
    committed.set()
    await idle()
    assert rig.acknowledged == []
    assert [record.event_id for record in rig.writer.decisions] == ["e1"]
    assert rig.crashes == []


def fetched(rig: Any, *deliveries: Any) -> Batch:
    """These as they come when they are fetched together."""
    return Batch(rig.consumer, deliveries)


async def test_what_was_fetched_together_is_written_and_committed_as_one_piece(rig: Any) -> None:
    batch = fetched(rig, *(rig.event(offset, entity) for offset, entity in enumerate(["ada", "bob", "ada", "cyd"])))
    await rig.accept(batch)
    assert rig.windows.flushed == [[0, 1, 2, 3]]
    assert rig.writer.calls == [["e0", "e1", "e2", "e3"]]
    assert [rig.known(f"e{offset}") for offset in range(4)] == ["", "", "e0", ""]
    assert rig.acknowledged == [0, 1, 2, 3]


async def test_a_long_batch_is_written_in_parts_and_acknowledged_part_by_part(rig: Any) -> None:
    batch = fetched(rig, *(rig.event(offset, f"c-{offset}") for offset in range(250)))
    rig.writer.hold("e150")
    await rig.offer(batch)
    assert rig.windows.flushed == [list(range(100)), list(range(100, 200))]
    assert rig.acknowledged == list(range(100))
    assert rig.consumer.discarded == []


async def test_a_bad_record_becomes_a_dead_letter_and_those_fetched_with_it_are_decided(rig: Any) -> None:
    await rig.accept(fetched(rig, rig.event(0), rig.raw(1, b"{"), rig.event(2), rig.event(3, kind="SomeOther")))
    assert [letter.origin.offset for letter in rig.writer.letters] == [1]
    assert rig.known("e2") == "e0"
    assert rig.acknowledged == [0, 1, 2, 3]


async def test_one_of_a_batch_whose_brain_waits_holds_up_no_other_entity_of_it(make_rig: MakeRig) -> None:
    rig = make_rig(brain=Slow())
    await rig.accept(fetched(rig, *(rig.event(offset, name) for offset, name in enumerate(["bob", "ada", "cyd"]))))
    assert [record.event_id for record in rig.writer.decisions] == ["e0", "e2"]
    assert rig.acknowledged == [0]
    assert rig.windows.folded == [0, 1, 2]


async def test_a_decision_with_effects_is_written_alone_and_what_follows_of_its_entity_behind_it(
    make_rig: MakeRig,
) -> None:
    def refunds(payment: PaymentSucceeded, _: History) -> Decision:
        effects = (
            [refund(capture=payment, amount_minor=1, cause="c", reason="so it is")] if payment.amount_minor == 1 else []
        )
        return Decision(outcome="done", reason="so it is", effects=effects)

    rig = make_rig(refunds)
    committed = rig.writer.hold("e1")
    deliveries = [
        rig.event(0, "ada"),
        rig.event(1, "ada", amount_minor=1),
        rig.event(2, "ada"),
        rig.event(3, "bob"),
    ]
    await rig.accept(fetched(rig, *deliveries))
    assert [record.event_id for record in rig.writer.decisions] == ["e0", "e3"]
    committed.set()
    await idle()
    assert [record.event_id for record in rig.writer.decisions] == ["e0", "e3", "e1", "e2"]
    assert rig.acknowledged == [0, 1, 2, 3]


async def test_the_rest_of_a_batch_that_grows_stale_is_discarded_and_nothing_is_written_for_it(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(events=1)
    committed = rig.writer.hold("e0")
    batch = fetched(rig, *(rig.event(offset) for offset in range(3)))
    taking = await rig.offer(batch)
    assert rig.windows.folded == [0]
    batch.stale = True
    committed.set()
    await asyncio.wait_for(taking, timeout=PATIENCE_SECONDS)
    await idle()
    assert (rig.windows.folded, rig.acknowledged, rig.consumer.discarded) == ([0], [0], [(0, 1), (0, 2)])


class Slow:
    """Decides about Ada when it is crowded, about anybody else at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def decide_now(self, history: History) -> Verdict | None:  # noqa: ARG002 - it always waits
        return None

    async def decide(self, history: History, crowded: asyncio.Event | None = None) -> Verdict:
        self.asked.append(history.event.id)
        if history.event.data["customer_id"] == "ada":
            assert crowded is not None
            await crowded.wait()
        return Verdict(decision=Decision(outcome="done", reason="by and by"), brain="slow")


@pytest.mark.parametrize(("events", "bound"), [(50, 16), (10, 16), (2, 1), (1, 1)])
async def test_a_slow_brain_is_told_to_hurry_before_a_busy_entity_holds_up_the_others(
    make_rig: MakeRig, events: int, bound: int
) -> None:
    brain = Slow()
    rig = make_rig(events=events, brain=brain)
    await rig.accept(*(rig.event(offset) for offset in range(bound)))
    assert brain.asked == ["e0"]
    # Nothing of the next ones waits for room: `accept` would time out.
    await rig.accept(*(rig.event(bound + offset) for offset in range(40)), rig.event(90, "bob"))
    assert brain.asked[:2] == ["e0", "e1"]
    assert "e90" in [record.event_id for record in rig.writer.decisions]
    waiting = 41 + bound - len(rig.writer.decisions)
    assert waiting <= bound
    assert rig.crashes == []
