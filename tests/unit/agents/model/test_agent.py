"""Agent, decision and history: what they refuse, and what rules get to see."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from typing import Any

import pytest
from fakes import NOON, charged_back, event_of, failed, history_of, paid

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.entity import Entity
from agents.model.errors import DecisionFailed
from agents.model.history import History
from agents.shop.entities import customer
from agents.shop.events import ChargebackReceived, OrderPlaced, PaymentFailed, PaymentSucceeded
from tables.errors import Permanent
from tables.event import InvalidEvent
from tables.window import TypeRing, WindowSpec

MINUTE = timedelta(minutes=1)
SEEN = Decision(outcome="seen", reason="it was there")


def agent(name: str = "watcher", entity: Entity = customer) -> Agent:
    return Agent(
        name=name,
        entity=entity,
        reacts_to=(PaymentSucceeded,),
        remembers=(PaymentSucceeded, PaymentFailed),
        window=WindowSpec(events=5, age=timedelta(days=1)),
    )


def with_slots(slots: Any) -> Agent:
    return Agent(
        name="watcher",
        entity=customer,
        reacts_to=(PaymentSucceeded,),
        remembers=(PaymentSucceeded, PaymentFailed, ChargebackReceived),
        window=WindowSpec(events=5, age=timedelta(days=1)),
        slots=slots,
    )


@pytest.mark.parametrize("name", ["", "Fraud", "fraud-check", "1st", "a" * 41, "fraud\n"])
def test_a_name_that_cannot_be_part_of_a_topic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="agent name"):
        agent(name)


@pytest.mark.parametrize("name", ["f", "fraud", "root_cause_2", "a" * 40])
def test_a_name_of_lower_case_letters_digits_and_underscores_is_kept(name: str) -> None:
    assert agent(name).name == name


def test_an_agent_knows_its_types_by_their_names() -> None:
    assert agent().reacts_to == {"PaymentSucceeded"}
    assert agent().remembers == {"PaymentSucceeded", "PaymentFailed"}


def test_types_can_have_slots_of_their_own_alone_or_together() -> None:
    watcher = with_slots({PaymentSucceeded: 50, (PaymentFailed, ChargebackReceived): 20})
    assert watcher.window == WindowSpec(
        events=5,
        age=timedelta(days=1),
        rings=(TypeRing(("PaymentSucceeded",), 50), TypeRing(("PaymentFailed", "ChargebackReceived"), 20)),
    )


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({OrderPlaced: 5}, "agent watcher: slots are for types it remembers, got OrderPlaced"),
        ({(): 5}, "agent watcher: slots are for types it remembers, got none"),
        ({"PaymentFailed": 5}, "agent watcher: slots must be a sequence of classes of events"),
        ({PaymentFailed: "5"}, "agent watcher: slots must be a number of events, got str"),
        ({PaymentFailed: True}, "agent watcher: slots must be a number of events, got bool"),
        ({PaymentFailed: 0}, r"agent watcher: slots of PaymentFailed must be within 1\.\.1000, got 0"),
        ({PaymentFailed: 1001}, r"agent watcher: slots of PaymentFailed must be within 1\.\.1000, got 1001"),
        (
            {PaymentFailed: 5, (PaymentFailed, PaymentSucceeded): 5},
            "agent watcher: slots of PaymentFailed are given twice",
        ),
        ({PaymentFailed: 600, PaymentSucceeded: 401}, "agent watcher: slots must be at most 1000 together, got 1001"),
        ([PaymentFailed], "agent watcher: slots must be numbers by event types, got list"),
    ],
)
def test_slots_that_make_no_sense_are_refused_in_one_line(slots: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        with_slots(slots)


def test_rules_get_the_typed_event_and_its_history_and_their_decision_is_the_verdict() -> None:
    watcher, history, seen = agent(), history_of(paid("now"), paid("e0")), []

    @watcher.rules
    def rules(payment: PaymentSucceeded, known: History) -> Decision:
        seen.append((payment.amount_minor, known))
        return SEEN

    assert watcher.by_rules(history) == SEEN
    assert seen == [(2000, history)]
    assert callable(rules)


@pytest.mark.parametrize("returned", [None, "approve", {"outcome": "approve"}])
def test_what_is_no_decision_fails(returned: object) -> None:
    watcher = agent()
    watcher.rules(lambda *_: returned)  # type: ignore[type-var]
    with pytest.raises(DecisionFailed, match=f"agent watcher returned {type(returned).__name__}"):
        watcher.by_rules(history_of(paid("now")))


def test_rules_that_raise_fail_without_telling_what_they_saw() -> None:
    def rules(payment: PaymentSucceeded, _: History) -> Decision:
        raise KeyError(payment.device_id)

    watcher = agent()
    watcher.rules(rules)
    with pytest.raises(DecisionFailed, match=r"^agent watcher: KeyError while deciding$") as caught:
        watcher.by_rules(history_of(paid("now")))
    assert isinstance(caught.value, Permanent)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_agent_without_rules_fails() -> None:
    with pytest.raises(DecisionFailed, match="agent watcher has no rules"):
        agent().by_rules(history_of(paid("now")))


def test_data_that_is_not_of_its_type_is_an_invalid_event() -> None:
    watcher = agent()
    watcher.rules(lambda *_: SEEN)
    with pytest.raises(InvalidEvent, match=r"data\.amount_minor"):
        watcher.by_rules(history_of(paid("now", amount_minor="20")))


@pytest.mark.parametrize("changes", [{"outcome": ""}, {"confidence": -0.01}, {"confidence": 1.01}])
def test_a_decision_without_outcome_or_with_an_impossible_confidence_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs an outcome|within 0\.\.1"):
        replace(SEEN, **changes)


def test_a_confidence_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        replace(SEEN, confidence=float("nan"))


def test_a_decision_and_a_history_never_change() -> None:
    for value, name in ((SEEN, "outcome"), (history_of(paid("now")), "entries")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, "other")


def test_a_history_tells_events_by_type_in_the_order_of_the_log() -> None:
    history = history_of(
        paid("now"),
        paid("p2", 2 * MINUTE, amount_minor=500),
        failed("f", 9 * MINUTE),
        event_of("SomethingNobodyKnows", "s", NOON),
        paid("p5", 5 * MINUTE),
    )
    assert history.at == NOON
    assert [event.id for event in history.events()] == ["p2", "f", "s", "p5"]
    payments = history.of(PaymentSucceeded)
    assert [(past.id, past.at, past.data.amount_minor) for past in payments] == [
        ("p2", NOON - 2 * MINUTE, 500),
        ("p5", NOON - 5 * MINUTE, 2000),
    ]
    assert history.of(ChargebackReceived) == []


def test_recent_includes_the_edge_and_leaves_out_what_is_older_or_happened_later() -> None:
    second = timedelta(seconds=1)
    history = history_of(
        paid("now"),
        paid("too old", 10 * MINUTE + second),
        paid("edge", 10 * MINUTE),
        paid("same time"),
        paid("later", -second),
        charged_back("other type", MINUTE),
    )
    assert [past.id for past in history.recent(PaymentSucceeded, 10 * MINUTE)] == ["edge", "same time"]


def test_equal_histories_have_equal_digests_and_others_do_not() -> None:
    first, second = paid("e0"), paid("e1", amount_minor=1)
    digest = history_of(paid("now"), first, second).digest()
    assert digest == history_of(paid("another"), first, second).digest()
    assert len(digest) == 64
    others = [(), (first,), (second, first), (first, paid("e1"))]
    assert digest not in {history_of(paid("now"), *other).digest() for other in others}


def test_a_digest_tells_offsets_apart() -> None:
    history = history_of(paid("now"), paid("e0"))
    moved = replace(history, entries=[replace(history.entries[0], offset=1)])
    assert moved.digest() != history.digest()


def test_an_event_is_named_by_its_id_and_with_its_source_where_several_have_that() -> None:
    till, mirror = replace(paid("1001"), source="urn:till"), replace(paid("1001 of urn:till"), source="urn:mirror")
    history = history_of(paid("now"), paid("1001", MINUTE), till, failed("f", MINUTE))
    assert list(history.names().values()) == ["now", "1001 of urn:test:shop", "1001 of urn:till", "f"]
    assert [history.named(name).id for name in ("f", "1001 of urn:till")] == ["f", "1001"]  # type: ignore[union-attr]
    assert [history.named(name) for name in ("1001", "now", "nobody")] == [None, None, None]
    assert [history.is_ambiguous(event_id) for event_id in ("1001", "f", "nobody")] == [True, False, False]
    # An id that looks like such a name makes it nobody's.
    assert history_of(paid("now"), paid("1001"), till, mirror).named("1001 of urn:till") is None
    assert history_of(paid("1001"), till).named("1001") is None
