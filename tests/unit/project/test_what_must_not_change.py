"""What is written in Kafka, RocksDB and PostgreSQL is read by the next release, and by the one before: literal values.

A test here fails because a change would break an installation that has data. There is no other value to put in its
place: either the change is not made, or it comes with a migration and a way back (`docs/operations.md`, "Growing and
changing").
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from aiokafka.partitioner import DefaultPartitioner

from agents.engine.record import message_id
from agents.engine.routing import timeline
from agents.model.history import digest_of
from agents.shop.refunds import refund_id_of
from app.settings import Settings
from app.worker.runtime import ROUTER_GROUP
from outbox import redrives
from outbox.parameters import DEAD_LETTERS, stored_history
from outbox.records import LANES, DeadLetter, Origin, decision_id, lane_of
from outbox.sending import partition_of
from tables import ring
from tables.event import Event, parse, to_json
from tables.window import Entry, TypeRing, WindowSpec

AT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
ORIGIN = Origin(topic="payments", partition=3, offset=17, at=AT)


@pytest.mark.parametrize(
    ("partitions", "expected"),
    [(1, [0, 0, 0, 0, 0]), (8, [2, 2, 3, 4, 1]), (12, [10, 2, 11, 8, 9]), (64, [34, 2, 35, 52, 25])],
)
def test_a_key_stays_in_its_partition(partitions: int, expected: list[int]) -> None:
    keys = [b"c-0001", b"o-00017", b"warehouse", "größe".encode(), b""]
    numbers = list(range(partitions))
    breaks = "windows stay in the partition of their entity: its next events would meet an empty one"
    assert [partition_of(key, numbers) for key in keys] == expected, breaks
    assert [DefaultPartitioner()(key, numbers, numbers) for key in keys] == expected, breaks


def test_a_message_stays_in_its_lane() -> None:
    placed = [("payments", b"o-00017"), ("shipping", b"o-00017"), ("ledger", b""), ("dead-letters", "größe".encode())]
    breaks = (
        "what is pending in another lane would be overtaken by what comes after it, and two releases would disagree"
    )
    assert LANES == 64, breaks
    assert [lane_of(topic, key) for topic, key in placed] == [35, 28, 60, 9], breaks


def test_the_ids_of_what_is_decided_again_stay() -> None:
    breaks = "an event that is read again, or by another release, would be decided, published or paid twice"
    decision = decision_id("fraud", "urn:shop", "e-1")
    assert decision == UUID("5c9d6514-234d-5455-b4c7-c0b7d44a6a2c"), breaks
    assert [message_id(decision.bytes, name) for name in ("0", "otherwise/0", "escalation/0")] == [
        "faa91845-5c84-505c-bd21-083264bba4c7",
        "11150130-ca05-594f-8d2d-e3cf37e53525",
        "049e16b0-2e92-5a3d-9ea5-3d362d9b8ea1",
    ], breaks
    assert refund_id_of("p-1", "duplicate") == "555296c0-a953-53dd-b970-b1ede1e03083", breaks


def test_the_ids_of_dead_letters_and_redrives_stay() -> None:
    breaks = "an input that cannot be processed would be buried, or put back, a second time"

    def letter(about: str | None) -> DeadLetter:
        return DeadLetter(
            consumer="router",
            reason="invalid_event",
            detail="in any words",
            origin=ORIGIN,
            key=None,
            value=None,
            headers=(),
            about=about,
        )

    assert letter(None).id == UUID("51e30e70-6f27-5346-803f-c474fc142934"), breaks
    assert letter("c-1").id == UUID("75296d21-2485-5b9b-8d1e-399a06ee7070"), breaks
    assert redrives.message_id(letter(None).id) == UUID("8661bfdc-329f-5b15-8835-fa7c65550f3b"), breaks


def test_an_entry_of_a_window_stays_readable() -> None:
    breaks = "every changelog and every data directory holds entries of this layout"
    stored = bytes.fromhex("01000000000000000500000000000000110006475ef6574f340003652d317b7d")
    entry = Entry(5, 17, AT, "e-1", b"{}")
    assert ring.encode(entry) == stored, breaks
    assert ring.decode(stored) == entry, breaks
    assert ring.key("c-0001", 5).hex() == "0006632d3030303100000005", breaks
    assert ring.key("größe", 7, number=3).hex() == "00076772c3b6c39f6500030007", breaks


def test_the_slots_of_a_window_stay_where_they_are() -> None:
    breaks = (
        "an entry lies in the slot that its number has in a ring of this capacity, and the ring where its types say"
    )
    sizes = [WindowSpec(events=events, age=timedelta(days=1)).capacity for events in (1, 20, 50, 100, 1000)]
    assert sizes == [2, 64, 128, 256, 2048], breaks
    own = TypeRing(("PaymentFailed", "ChargebackReceived"), 50)
    assert (own.number, own.capacity) == (58754, 128), breaks


def test_what_a_decision_knew_stays_comparable() -> None:
    breaks = "the history of every decision of before would be said to differ from what Kafka has"
    assert digest_of([(3, b"{}"), (2**40, b"x")]) == (
        "e32e7b387c7b3d37f1282a401553b9603f3fc3c2b1a2942be2847dd6f625cad7"
    ), breaks
    stored = {"sha256": "ab", "steps": "3 4 0 93"}
    assert stored_history({"offsets": [3, 7, 7, 100], "sha256": "ab"}) == stored, breaks


def test_an_event_is_written_as_it_was() -> None:
    breaks = "digests of histories are of these bytes, and a message that is sent again has to be the same"
    event = Event(
        id="e-1",
        source="urn:shop",
        type="PaymentSucceeded",
        time=AT,
        data={"b": 1, "a": "ö"},
        subject="o-1",
        correlationid="c",
        causationid="k",
        extensions={"chaindepth": 1},
    )
    written = (
        '{"specversion":"1.0","id":"e-1","source":"urn:shop","type":"PaymentSucceeded",'
        '"time":"2026-01-02T03:04:05.678900Z","subject":"o-1","correlationid":"c","causationid":"k","chaindepth":1,'
        '"data":{"b":1,"a":"ö"}}'
    ).encode()
    assert to_json(event) == written, breaks
    assert parse(written, ()) == event, breaks


def test_topics_and_groups_keep_their_names() -> None:
    breaks = "workers would begin again at the first event Kafka has, with empty windows"
    assert (timeline("order"), DEAD_LETTERS, ROUTER_GROUP) == ("timeline-order", "dead-letters", "innervate-router"), (
        breaks
    )
    assert Settings(_env_file=None).agent_set == "all", breaks
    several = Settings(_env_file=None, agents=("recovery", "bookkeeping")).agent_set
    assert several == "bookkeeping-recovery", breaks
