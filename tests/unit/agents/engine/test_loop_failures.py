"""What can never be decided becomes a dead letter and is acknowledged; anything unexpected stops the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fakes import NOON, idle

from agents.engine import inputs
from agents.engine.routing import MAX_PAYLOAD_BYTES
from agents.engine.routing import read_timeline as read_a_timeline
from agents.engine.stamps import NO_TIME
from agents.model.decision import Decision
from agents.shop.events import FraudScored, PaymentFailed
from outbox.errors import Echo, StatementRejected
from outbox.records import Origin
from tables.event import Event

MakeRig = Callable[..., Any]

UNREADABLE = {
    "tombstone": None,
    "invalid_utf8": b"\xff\xfe not text",
    "invalid_json": b'{"specversion": "1.0", "id": ',
    "invalid_envelope": b"[]",
    "invalid_data": b'{"specversion":"1.0","id":"x","source":"s","type":"T","time":"2024-05-01T12:00:00Z","data":3}',
}


def letters(rig: Any) -> list[tuple[str, int]]:
    return [(letter.reason, letter.origin.offset) for letter in rig.writer.letters]


@pytest.mark.parametrize("reason", UNREADABLE)
async def test_an_unreadable_record_becomes_a_dead_letter_and_the_good_ones_around_it_go_on(
    rig: Any, reason: str
) -> None:
    await rig.accept(rig.event(0), rig.raw(1, UNREADABLE[reason]), rig.event(2))
    assert letters(rig) == [(reason, 1)]
    assert rig.acknowledged == [0, 1, 2]
    assert rig.known("e2") == "e0"


async def test_an_event_too_large_for_a_changelog_becomes_a_dead_letter_and_is_not_remembered(rig: Any) -> None:
    await rig.accept(
        rig.event(0),
        rig.event(1, note="x" * MAX_PAYLOAD_BYTES),
        rig.event(2, note="x" * (MAX_PAYLOAD_BYTES - 1024)),
    )
    assert letters(rig) == [("too_large", 1)]
    assert rig.windows.folded == [0, 2]
    assert rig.acknowledged == [0, 1, 2]


async def test_a_key_that_is_no_text_becomes_a_dead_letter(rig: Any) -> None:
    bad = rig.event(0)
    bad.key = b"\xff"
    await rig.accept(bad, rig.event(1))
    assert letters(rig) == [("invalid_utf8", 0)]
    assert rig.windows.folded == [1]
    assert rig.acknowledged == [0, 1]


async def test_a_dead_letter_holds_the_original_bytes_and_where_they_came_from(rig: Any) -> None:
    delivery = rig.raw(4, b"{", key=b"\x00k", partition=2)
    delivery.headers = [("content-type", b"application/json"), ("x", b"\xff")]
    await rig.accept(delivery)
    [letter] = rig.writer.letters
    assert (letter.key, letter.value) == (b"\x00k", b"{")
    assert letter.headers == (("content-type", b"application/json"), ("x", b"\xff"))
    assert letter.origin == Origin(topic="timeline-customer", partition=2, offset=4, at=NOON)
    assert letter.consumer == "watcher"
    assert "JSON" in letter.detail


async def test_a_dead_letter_says_a_timestamp_that_is_no_time_as_it_was_written(rig: Any) -> None:
    bad = [rig.raw(0, b"{"), rig.raw(1, b"{"), rig.raw(2, b"{")]
    bad[0].timestamp, bad[1].timestamp = -62_135_683_200_000, None
    await rig.accept(*bad)
    assert [letter.origin.at for letter in rig.writer.letters] == [NO_TIME, NO_TIME, NOON]
    assert [letter.detail.rpartition(" (")[2] for letter in rig.writer.letters[:2]] == [
        f"its record has the timestamp {stamp}, which is no time)" for stamp in (-62_135_683_200_000, None)
    ]
    assert "timestamp" not in rig.writer.letters[2].detail


async def test_an_unreadable_record_is_acknowledged_only_when_its_dead_letter_is_committed(rig: Any) -> None:
    rig.writer.burying.clear()
    await rig.accept(rig.raw(0, None), rig.event(1))
    assert rig.writer.asked == ["e1"]
    assert rig.acknowledged == []
    rig.writer.burying.set()
    await idle()
    assert rig.acknowledged == [0, 1]


def raises(*_: Any) -> Decision:
    raise ZeroDivisionError


def returns_nothing(*_: Any) -> None:
    return None


def emits_what_cannot_be_written(*_: Any) -> Decision:
    scored = FraudScored(payment_id="p", order_id="o", customer_id="c", score=0, verdict="approve", reasons=("\0",))
    return Decision(outcome="approve", reason="none", emit=[scored])


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (raises, "decision_failed"),
        (returns_nothing, "decision_failed"),
        (emits_what_cannot_be_written, "invalid_data"),
    ],
)
async def test_an_event_its_rules_cannot_decide_becomes_a_dead_letter(
    make_rig: MakeRig, rules: Any, reason: str
) -> None:
    rig = make_rig(rules)
    stored = rig.windows.hold(0)
    await rig.accept(rig.event(0), rig.event(1, "bob"))
    assert sorted(letters(rig)) == [(reason, 0), (reason, 1)]
    assert rig.acknowledged == []  # what was remembered has to be in the changelog all the same
    stored.set_result(None)
    await idle()
    assert rig.acknowledged == [0, 1]
    assert rig.writer.decisions == []
    assert rig.crashes == []


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(StatementRejected("no"), "decision_refused")],
)
async def test_a_decision_that_can_never_be_written_becomes_a_dead_letter(
    rig: Any, refusal: Exception, reason: str
) -> None:
    rig.writer.refusals["e0"] = refusal
    await rig.accept(rig.event(0), rig.event(1))
    assert letters(rig) == [(reason, 0)]
    assert rig.writer.letters[0].detail == str(refusal)
    assert rig.acknowledged == [0, 1]
    assert rig.known("e1") == "e0"


async def test_wrong_data_of_a_known_type_becomes_a_dead_letter_and_later_histories_can_be_read(
    make_rig: MakeRig,
) -> None:
    def count(_: Any, history: Any) -> Decision:
        return Decision(outcome="seen", reason=str(len(history.of(PaymentFailed))))

    rig = make_rig(count)
    await rig.accept(
        rig.event(0, kind=PaymentFailed, amount_minor="a lot"), rig.event(1, amount_minor=-1), rig.event(2)
    )
    assert letters(rig) == [("invalid_data", 0), ("invalid_data", 1)]
    assert rig.known("e2") == "0"
    assert rig.acknowledged == [0, 1, 2]


async def test_a_timeline_holds_structured_events_only_because_the_window_keeps_no_headers(rig: Any) -> None:
    envelope = {
        "specversion": "1.0",
        "id": "e0",
        "source": "s",
        "type": "PaymentFailed",
        "time": "2024-05-01T12:00:00Z",
    }
    binary = rig.raw(0, b"{}")
    binary.headers = [(f"ce_{name}", text.encode()) for name, text in envelope.items()]
    await rig.accept(binary, rig.event(1))
    assert letters(rig) == [("invalid_envelope", 0)]
    assert rig.known("e1") == ""


@pytest.mark.parametrize("key", [None, b"", b"a\x00b", b"x" * 257, b"x" * 65_536], ids=lambda key: f"{len(key or b'')}")
async def test_a_key_that_is_no_entity_id_becomes_a_dead_letter(rig: Any, key: bytes | None) -> None:
    bad = rig.event(0)
    bad.key = key
    await rig.accept(bad, rig.event(1))
    assert letters(rig) == [("invalid_envelope", 0)]
    assert rig.acknowledged == [0, 1]


async def test_an_unexpected_error_of_the_writer_stops_the_worker_and_nothing_behind_it_is_acknowledged(
    rig: Any,
) -> None:
    bug = RuntimeError("a bug")
    rig.writer.refusals["e1"] = bug
    await rig.accept(rig.event(0), rig.event(1), rig.event(2, "bob"))
    assert rig.crashes == [bug]
    assert rig.acknowledged == [0]
    assert rig.writer.letters == []


async def test_a_changelog_record_kafka_never_takes_stops_the_worker_unacknowledged(rig: Any) -> None:
    stored = rig.windows.hold(0)
    await rig.accept(rig.event(0, kind=PaymentFailed), rig.event(1, "bob"))
    lost = ConnectionError("not sent")
    stored.set_exception(lost)
    await idle()
    assert rig.crashes == [lost]
    assert rig.acknowledged == []


async def test_a_dead_letter_that_cannot_be_written_stops_the_worker_unacknowledged(rig: Any) -> None:
    rig.writer.bury_error = StatementRejected("no")
    await rig.accept(rig.raw(0, b"{"), rig.event(1))
    assert rig.crashes == [rig.writer.bury_error]
    assert rig.acknowledged == []


async def test_a_record_that_breaks_the_reading_is_a_dead_letter_and_the_next_one_is_decided(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_timeline(key: bytes, value: bytes) -> tuple[Event, str]:
        if value == b"odd":
            raise ZeroDivisionError
        return read_a_timeline(key, value)

    monkeypatch.setattr(inputs, "read_timeline", read_timeline)

    await rig.accept(rig.raw(0, b"odd"), rig.event(1))

    assert [(letter.reason, letter.detail) for letter in rig.writer.letters] == [("unprocessable", "ZeroDivisionError")]
    assert [record.event_id for record in rig.writer.decisions] == ["e1"]
    assert (rig.acknowledged, rig.crashes) == ([0, 1], [])


async def test_a_job_that_a_library_cancels_stops_the_worker_and_not_only_its_entity(rig: Any) -> None:
    cancelled = asyncio.CancelledError()
    rig.writer.refusals["e0"] = cancelled
    await rig.accept(rig.event(0), rig.event(1))
    assert rig.crashes == [cancelled]
    assert rig.acknowledged == []


async def test_a_refused_chain_is_told_once_of_its_story_and_the_worker_goes_on(
    rig: Any,
) -> None:
    rig.writer.refusals.update(e0=Echo("story", "too deep"), e1=Echo("story", "too deep"), e2=Echo("other", "too deep"))
    deliveries = [rig.event(offset) for offset in range(4)]
    await rig.accept(*deliveries)
    assert letters(rig) == [("echo", 0), ("echo", 2)]
    first, _ = rig.writer.letters
    assert (first.value, first.detail, first.consumer) == (deliveries[0].value, "too deep", "watcher")
    assert rig.acknowledged == [0, 1, 2, 3]
