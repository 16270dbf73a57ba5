"""Replay: unchanged agents decide the same, a changed one differs exactly where it should, whatever is in the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from choreography import Choreography
from fakes import NOON, charged_back, failed, paid
from replaying import Bench, record_of, recorded
from shop_catalogue import shop_history

from agents.engine.brain import RULES
from agents.engine.record import decision_record
from agents.model.agent import Agent
from agents.model.decision import Decision, Verdict
from agents.model.history import History
from agents.replay.comparison import Comparison, HistoryKind, Kind
from agents.replay.records import RecordedDecision, TimelineRecord
from agents.replay.sources import MemoryDecisions
from agents.replay.span import Span
from agents.shop.entities import customer
from agents.shop.events import ChargebackReceived, PaymentFailed, PaymentSucceeded
from agents.shop.fraud.rules import fraud, score
from app.simulator import simulate
from outbox.records import Origin
from tables.event import Event, parse, to_json
from tables.window import Entry, WindowSpec

LARGE_MINOR = 8000


@cache
def told() -> Choreography:
    return Choreography().run(simulate(seed=7001, orders=150, failures=40, start=NOON).records)


@cache
def doubled() -> Choreography:
    """Every record comes twice, each time in a row."""
    records = simulate(seed=7001, orders=40, failures=10, start=NOON).records
    return Choreography().run([copy for record in records for copy in (record, record)])


def version(
    rules: Any = score, *, events: int = 50, reacts_to: Sequence[Any] = (PaymentSucceeded,), **rest: Any
) -> Agent:
    """Another version of fraud."""
    changed = Agent(
        name="fraud",
        entity=customer,
        reacts_to=reacts_to,
        remembers=rest.get("remembers", (PaymentSucceeded, PaymentFailed)),
        window=WindowSpec(events=events, age=timedelta(days=30)),
    )
    changed.rules(rules)
    return changed


def small(*events: Event, key: str = "ada", **rest: Any) -> list[TimelineRecord]:
    """A log of these events, at the offsets from 0."""
    return [record_of(to_json(event), key, offset, **rest) for offset, event in enumerate(events)]


def decided(event: Event, offset: int, *known: tuple[int, Event], agent: Agent = fraud, **rest: Any) -> Any:
    """What fraud recorded on an event at this offset, knowing others at theirs."""
    entries = [Entry(seq, at, each.time, each.id, to_json(each)) for seq, (at, each) in enumerate(known)]
    history = shop_history(event, tuple(entries))
    record = decision_record(
        agent,
        history,
        Verdict(decision=agent.by_rules(history), brain=RULES),
        origin=Origin(topic="timeline-customer", partition=0, offset=offset, at=NOON),
        entity_id="ada",
        decided_at=NOON,
    )
    return recorded(record, **rest)


async def replay(
    log: Sequence[TimelineRecord], rows: Sequence[RecordedDecision], *, agents: Sequence[Agent] = (fraud,), **rest: Any
) -> list[Comparison]:
    return await Bench({"timeline-customer": list(log)}, MemoryDecisions(rows), agents).replay(**rest)


def kinds(found: Sequence[Comparison]) -> list[str]:
    return [f"{each.offset} {each.kind}" for each in found]


@pytest.mark.parametrize("bytes_kept", [1 << 26, 20_000])
async def test_unchanged_agents_decide_the_same_and_knew_the_same(bytes_kept: int) -> None:
    found = await Bench.of(told()).replay(bytes_kept=bytes_kept)

    assert Counter(each.kind for each in found) == {Kind.SAME: len(told().decisions)}
    assert {each.history for each in found} == {HistoryKind.SAME}
    assert {each.agent for each in found} == {agent for agent, _ in told().decisions}


async def test_copies_are_decided_once_as_live() -> None:
    found = await Bench.of(doubled()).replay()

    assert Counter(each.kind for each in found) == {Kind.SAME: len(doubled().decisions)}


async def test_a_changed_rule_shows_exactly_the_decisions_it_changes() -> None:
    def stricter(payment: PaymentSucceeded, history: History) -> Decision:
        by_rules = score(payment, history)
        return replace(by_rules, outcome="large") if payment.amount_minor > LARGE_MINOR else by_rules

    agent = version(stricter, remembers=(PaymentSucceeded, PaymentFailed, ChargebackReceived))
    payments = [event for event in map(parsed, told().log) if event.type == "PaymentSucceeded"]
    expected = {event.id for event in payments if event.data["amount_minor"] > LARGE_MINOR}

    found = await Bench.of(told(), agents=(agent,)).replay()

    changed = [each for each in found if each.kind is not Kind.SAME]
    assert {each.event_id for each in changed} == expected
    assert {each.kind for each in changed} == {Kind.CHANGED}
    assert 0 < len(expected) < len({event.id for event in payments})
    assert len(found) == len({event.id for event in payments})


async def test_decisions_made_at_the_same_time_are_yielded_in_the_order_of_the_log() -> None:
    one = await Bench.of(told()).replay()
    many = await Bench.of(told()).replay(concurrency=7)

    assert [(each.offset, each.agent, each.kind) for each in many] == [
        (each.offset, each.agent, each.kind) for each in one
    ]


async def test_a_window_is_as_long_as_then_at_its_edges() -> None:
    events = [paid(f"e{minute}", timedelta(minutes=60 - minute)) for minute in range(6)]
    agent = version(events=3)
    known = list(enumerate(events))
    rows = [decided(event, place, *known[max(0, place - 3) : place], agent=agent) for place, event in known]

    found = await replay(small(*events), rows, agents=(agent,))
    longer = await replay(small(*events), rows, agents=(agent,), window_events=4)

    assert [each.history for each in found] == [HistoryKind.SAME] * 6
    assert [each.history for each in longer] == [HistoryKind.SAME] * 4 + [HistoryKind.DIFFERS] * 2


async def test_types_with_slots_are_remembered_as_live_whatever_windows_hold_elsewhere() -> None:
    agent = Agent(
        name="fraud",
        entity=customer,
        reacts_to=(PaymentSucceeded,),
        remembers=(PaymentSucceeded, PaymentFailed),
        window=WindowSpec(events=3, age=timedelta(days=30)),
        slots={PaymentFailed: 2},
    )
    agent.rules(score)
    events = [(failed if minute < 4 else paid)(f"e{minute}", timedelta(minutes=60 - minute)) for minute in range(30)]
    known = list(enumerate(events))
    rows = [
        decided(event, place, *known[2:4], *known[max(4, place - 3) : place], agent=agent) for place, event in known[4:]
    ]

    found = await replay(small(*events), rows, agents=(agent,))
    fewer = await replay(small(*events), rows, agents=(agent,), window_events=2)

    assert [each.history for each in found] == [HistoryKind.SAME] * 26
    assert [each.history for each in fewer] == [HistoryKind.SAME] * 3 + [HistoryKind.DIFFERS] * 23


async def test_what_is_before_the_span_is_remembered_and_not_decided() -> None:
    events = [paid(f"e{minute}", timedelta(minutes=60 - minute)) for minute in range(4)]
    known = list(enumerate(events))
    rows = [decided(event, place, *known[:place]) for place, event in known]

    found = await replay(small(*events), rows, span=Span(from_offset=2, to_offset=3))

    assert [(each.offset, each.kind, each.history) for each in found] == [(2, Kind.SAME, HistoryKind.SAME)]


async def test_a_span_of_times_goes_by_the_times_of_the_records() -> None:
    events = [paid(f"e{minute}", timedelta(minutes=60 - minute)) for minute in range(3)]
    log = [replace(each, at=NOON + timedelta(minutes=each.offset)) for each in small(*events)]
    begin, end = NOON + timedelta(minutes=1), NOON + timedelta(minutes=2)

    assert kinds(await replay(log, [], span=Span(from_at=begin, to_at=end))) == ["1 new"]


async def test_another_entity_is_neither_decided_nor_missed() -> None:
    log = [*small(paid("hers")), record_of(to_json(paid("his", customer_id="bob")), "bob", 1)]
    rows = [decided(paid("hers"), 0), decided(paid("his", customer_id="bob"), 1)]

    assert kinds(await replay(log, rows, span=Span(entity_id="bob"))) == ["1 same"]


async def test_what_nobody_decided_is_new_once() -> None:
    found = await replay(small(paid("e0"), paid("e0")), [])

    assert kinds(found) == ["0 new"]
    assert (found[0].recorded, found[0].history) == (None, None)


async def test_an_event_that_was_decided_at_a_later_copy_is_left_to_it() -> None:
    """Its first record became a dead letter, which somebody replayed."""
    rows = [decided(paid("e0"), 1)]

    assert kinds(await replay(small(paid("e0"), paid("e0")), rows)) == ["1 same"]


async def test_an_event_that_was_decided_in_another_partition_is_left_to_it() -> None:
    elsewhere = decided(paid("e0"), 0, partition=3)

    assert kinds(await replay(small(paid("e0")), [elsewhere])) == []


async def test_a_decision_the_agent_does_not_make_any_more_is_missing() -> None:
    agent = version(reacts_to=(PaymentFailed,))

    [found] = await replay(small(paid("e0")), [decided(paid("e0"), 0)], agents=(agent,))

    assert (found.kind, found.problem) == (Kind.MISSING, "agent fraud does not react to PaymentSucceeded")


async def test_a_decision_the_agent_fails_at_is_missing_and_says_why() -> None:
    def broken(payment: PaymentSucceeded, history: History) -> Decision:
        raise KeyError(payment.payment_id)

    [found] = await replay(small(paid("e0")), [decided(paid("e0"), 0)], agents=(version(broken),))

    assert (found.kind, found.problem) == (Kind.MISSING, "agent fraud: KeyError while deciding: 'p-e0'")


async def test_what_became_a_dead_letter_is_no_decision_now_either() -> None:
    unreadable = record_of(b"{", "ada", 0)
    invalid = record_of(to_json(paid("e1", amount_minor=-1)), "ada", 1)
    nameless = record_of(to_json(paid("e2")), "", 2)
    fine = record_of(to_json(paid("e3")), "ada", 3)

    found = await replay([unreadable, invalid, nameless, fine], [decided(paid("e3"), 3)])

    assert [(each.offset, each.kind, each.history) for each in found] == [(3, Kind.SAME, HistoryKind.SAME)]


async def test_a_decision_that_was_refused_then_is_none_now() -> None:
    log = small(paid("e0"), paid("e1"))
    dead = MemoryDecisions([decided(paid("e0"), 0)], [("fraud", "timeline-customer", 0, 1)])

    found = await Bench({"timeline-customer": log}, dead, (fraud,)).replay()

    assert kinds(found) == ["0 same"]


async def test_a_decision_whose_record_is_gone_from_the_middle_of_the_log_is_missing() -> None:
    log = [record for record in small(paid("e0"), paid("e1"), paid("e2")) if record.offset != 1]
    rows = [decided(paid("e0"), 0), decided(paid("e1"), 1, (0, paid("e0")))]

    found = await replay(log, rows)

    assert kinds(found) == ["0 same", "1 missing", "2 new"]
    assert found[1].problem == "the log has no record at its offset"


@pytest.mark.parametrize("span", [Span(from_offset=2), Span(to_at=NOON), Span(entity_id="bob")])
async def test_a_decision_without_a_record_is_not_missing_where_it_may_be_outside_the_span(span: Span) -> None:
    rows = [decided(paid("e1"), 1)]

    assert await replay(small(paid("e0"))[:1], rows, span=span) == []


async def test_an_event_whose_data_is_invalid_is_not_remembered() -> None:
    log = small(paid("e0", amount_minor=-1), paid("e1"))

    assert kinds(await replay(log, [decided(paid("e1"), 1)])) == ["1 same"]


async def test_a_decision_on_what_is_invalid_today_is_missing_and_says_why() -> None:
    [found] = await replay(small(paid("e0", amount_minor=-1)), [decided(paid("e0"), 0)])

    assert found.kind is Kind.MISSING
    assert found.problem is not None
    assert "data.amount_minor" in found.problem


async def test_another_event_at_the_offset_of_a_decision_is_not_taken_for_it() -> None:
    """A timeline was made anew while the database was kept."""
    found = await replay(small(paid("other")), [decided(paid("e0"), 0)])

    assert kinds(found) == ["0 missing", "0 new"]
    assert found[0].problem == "the log has another event at its offset: other of urn:test:shop"


async def test_a_history_that_begins_before_the_log_is_told_as_dropped() -> None:
    past, event = charged_back("past"), paid("e1")
    row = decided(event, 5, (4, past))

    [found] = await replay([record_of(to_json(event), "ada", 5)], [row])

    assert (found.kind, found.history) == (Kind.CHANGED, HistoryKind.DROPPED)


async def test_a_history_that_differs_although_the_log_is_whole_is_told_so() -> None:
    row = decided(paid("e1"), 1)

    [found] = await replay(small(charged_back("past"), paid("e1")), [row])

    assert found.history == HistoryKind.DIFFERS


async def test_messages_are_compared_as_the_json_they_are() -> None:
    row = decided(paid("e0"), 0)
    [message] = row.messages
    document = orjson.loads(message.value)
    sorted_value = orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    document["data"]["score"] = 1

    [same] = await replay(small(paid("e0")), [replace(row, messages=[replace(message, value=sorted_value)])])
    [other] = await replay(small(paid("e0")), [replace(row, messages=[replace(message, value=orjson.dumps(document))])])
    [fewer] = await replay(small(paid("e0")), [replace(row, messages=[])])

    assert (same.kind, other.kind, fewer.kind) == (Kind.SAME, Kind.CHANGED, Kind.CHANGED)


@pytest.mark.parametrize("change", [{"outcome": "block"}, {"reason": "another"}, {"confidence": 0.1}])
async def test_outcome_reason_and_confidence_each_make_a_change(change: dict[str, Any]) -> None:
    assert kinds(await replay(small(paid("e0")), [decided(paid("e0"), 0, **change)])) == ["0 changed"]


@pytest.mark.parametrize("status", ["held", "rejected"])
async def test_what_a_person_said_to_a_held_decision_is_not_compared(status: str) -> None:
    assert kinds(await replay(small(paid("e0")), [decided(paid("e0"), 0, status=status)])) == ["0 same"]


def parsed(payload: bytes) -> Event:
    return parse(payload, ())


async def test_a_message_of_a_version_that_did_not_say_how_deep_it_was_is_the_same() -> None:
    row = decided(paid("e0"), 0)
    [message] = row.messages
    assert b',"chaindepth":1' in message.value
    old = replace(row, messages=[replace(message, value=message.value.replace(b',"chaindepth":1', b""))])
    deeper = replace(
        row, messages=[replace(message, value=message.value.replace(b'"chaindepth":1', b'"chaindepth":2'))]
    )

    assert [each.kind for each in await replay(small(paid("e0")), [old])] == [Kind.SAME]
    assert [each.kind for each in await replay(small(paid("e0")), [deeper])] == [Kind.CHANGED]


async def test_a_decision_that_was_refused_is_decided_the_same_again() -> None:
    event = replace(paid("e0"), extensions={"chaindepth": 16})

    assert [each.kind for each in await replay(small(event), [decided(event, 0, status="refused")])] == [Kind.SAME]
