"""Which event is named for an error of an order, how surely, and when the service is asked instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes import NOON, history_of
from hypothesis import given
from hypothesis import strategies as st
from shop_catalogue import EVENT_TYPES, parse_data
from stories import booked, captured, error, happened, label, moved, placed, priced, refunded, reserved, short

from agents.model.decision import Decision
from agents.platform.events import GUESS_TO, ExpectationMissed, RuledOut
from agents.platform.events.services import ServiceEvent
from agents.shop.entities import order
from agents.shop.events import DomainEvent, FulfilmentRequested, RootCauseIdentified, RootCauseSuspected
from agents.shop.failures import CULPRITS
from agents.shop.root_cause.rules import explain, root_cause
from tables.event import Event

ORDINARY = (placed(), reserved("r-lamp", 99), reserved("r-cup", 99, "cup", 1, 1), captured("paid", 60))
#: What looks like a failure at first, and was made good or never mattered.
HARMLESS = (
    short("n-short", 95, "cup", 1),
    reserved("n-reserved", 94, "cup", 1, 1),
    priced("n-up", 90, 700, 900),
    priced("n-down", 89, 900, 700),
    priced("n-late", 55, 600, 500, "cup"),
    moved("n-wrong", 54, valid=False),
    moved("n-right", 53, valid=True),
    label("n-label", 52),
    booked("n-booked", 51),
)
#: Why, of each that might be a culprit, the nearest to the error first.
RULED_OUT = {
    "n-label": "label printed on a second try",
    "n-wrong": "address corrected",
    "n-late": "after the capture",
    "n-down": "price taken back before the capture",
    "n-up": "price taken back before the capture",
    "n-short": "reserved in full later",
}
#: Every failure an order can show, the event to blame first.
FAILURES = {
    "stock_shortage": (short("culprit", 40),),
    "duplicate_capture": (captured("culprit", 40, "p-2"),),
    "label_failed": (label("culprit", 40),),
    "address_invalid": (moved("culprit", 40, valid=False), label("symptom", 20)),
    "price_changed": (priced("culprit", 80, 700, 900),),
}


def decide(failed: Event, *earlier: Event) -> Decision:
    return explain(parse_data(failed), history_of(failed, *earlier))  # type: ignore[arg-type]


def emitted(failed: Event, *earlier: Event) -> DomainEvent:
    [event] = decide(failed, *earlier).emit
    return event


def verdict(failed: Event, *earlier: Event) -> RootCauseIdentified:
    event = emitted(failed, *earlier)
    assert isinstance(event, RootCauseIdentified)
    return event


def in_hours(*events: Event) -> list[Event]:
    """The same events, hours apart where they were minutes."""
    return [replace(event, time=NOON - 60 * (NOON - event.time)) for event in events]


def named(failed: Event, *earlier: Event) -> tuple[str | None, float]:
    found = verdict(failed, *earlier)
    return found.culprit_event_id, found.confidence


@pytest.mark.parametrize("failure", FAILURES)
def test_the_only_open_failure_is_named_surely_among_harmless_events(failure: str) -> None:
    events = sorted((*ORDINARY, *HARMLESS, *FAILURES[failure]), key=lambda event: event.time)
    decision = decide(error(), *events)
    [found] = decision.emit
    assert isinstance(found, RootCauseIdentified)
    assert (found.failure, found.culprit_event_id, found.error_event_id) == (failure, "culprit", "error")
    assert (order.id_of(found), found.service) == ("o-1", "checkout")
    assert (decision.outcome, decision.confidence, found.confidence) == (failure, 0.9, 0.9)
    assert "culprit" in decision.reason


@pytest.mark.parametrize(
    ("failure", "evidence"),
    [
        ("stock_shortage", ("culprit", "error")),
        ("duplicate_capture", ("culprit", "error", "paid")),
        ("label_failed", ("culprit", "error")),
        ("address_invalid", ("culprit", "error", "symptom")),
        ("price_changed", ("culprit", "error", "paid")),
    ],
)
def test_the_evidence_is_the_culprit_the_error_and_what_shows_the_failure(
    failure: str, evidence: tuple[str, ...]
) -> None:
    assert verdict(error(), *ORDINARY, *FAILURES[failure]).evidence == evidence


def test_the_evidence_is_bounded() -> None:
    many = [label(f"l{minutes}", minutes) for minutes in range(30, 10, -1)]
    assert len(verdict(error(), *ORDINARY, *many).evidence) == 10


@pytest.mark.parametrize("failure", FAILURES)
def test_the_text_of_the_error_decides_nothing(failure: str) -> None:
    lying = error(
        error="InventoryShort", message="duplicate capture, label failed, price of lamp changed", step="stock"
    )
    earlier = (*ORDINARY, *FAILURES[failure], captured("again", 30, "p-1"))
    told = verdict(lying, *earlier)
    assert told == verdict(error(), *earlier)


def test_nothing_open_is_a_suspicion_of_the_service_with_the_nearest_deviations_first() -> None:
    decision = decide(error(), *ORDINARY, *HARMLESS)
    assert decision.emit == [
        RootCauseSuspected(
            order_id="o-1",
            service="checkout",
            error_event_id="error",
            culprit_event_id=None,
            failure="unknown",
            confidence=0.1,
            evidence=("error",),
            alternatives=("n-label", "n-wrong", "n-late", "n-down", "n-up"),
            ruled_out=tuple(RuledOut(event_id=name, why=why) for name, why in RULED_OUT.items()),
        )
    ]
    assert (decision.outcome, decision.confidence) == ("suspected", 0.1)
    assert isinstance(emitted(error()), RootCauseSuspected)


def test_a_deviation_in_the_chain_of_causes_is_the_first_alternative_though_it_was_made_good() -> None:
    suspicion = emitted(error(by="n-short"), *ORDINARY, *HARMLESS)
    assert isinstance(suspicion, RootCauseSuspected)
    assert suspicion.alternatives[:2] == ("n-short", "n-label")


def test_the_nearer_of_two_open_failures_is_named_and_the_other_is_the_first_alternative() -> None:
    earlier = (*ORDINARY, *HARMLESS, short("far", 45), captured("near", 5, "p-2"))
    found = verdict(error(), *earlier)
    assert (found.failure, found.culprit_event_id, found.confidence) == ("duplicate_capture", "near", 0.81)
    assert found.alternatives == ("far", "n-label", "n-wrong", "n-late", "n-down")


@pytest.mark.parametrize(("minutes", "confidence"), [(13, 0.51), (20, 0.6), (90, 0.81)])
def test_the_farther_a_rival_the_surer_the_verdict(minutes: float, confidence: float) -> None:
    assert named(error(), placed(), captured("one", 95), label("label", minutes), captured("two", 10, "p-2")) == (
        "two",
        confidence,
    )


@pytest.mark.parametrize(("minutes", "confidence"), [(10, 0.45), (11, 0.47)])
def test_rivals_nearly_as_near_are_inconclusive_and_both_named_as_alternatives(
    minutes: float, confidence: float
) -> None:
    found = verdict(error(), placed(), captured("one", 95), label("label", minutes), captured("two", 10, "p-2"))
    assert (found.failure, found.culprit_event_id, found.confidence) == ("inconclusive", None, confidence)
    assert set(found.alternatives[:2]) == {"two", "label"}
    assert set(found.evidence) == {"two", "label", "error"}
    assert [each.startswith("what tells ") for each in found.missing] == [True]


def test_the_chain_of_causes_beats_nearness() -> None:
    handled = happened(FulfilmentRequested, "handled", 2, by="far")
    earlier = (*ORDINARY, short("far", 59), captured("near", 1, "p-2"), handled)
    assert named(error(), *earlier) == ("near", 0.88)
    assert named(error(by="far"), *earlier) == ("far", 0.98)
    found = verdict(error(by="handled"), *earlier)
    assert (found.culprit_event_id, found.confidence, found.alternatives) == ("far", 0.98, ("near",))


def test_a_chain_through_the_symptom_leads_to_the_address() -> None:
    earlier = (*ORDINARY, moved("address", 50, valid=False), label("symptom", 40), short("near", 5))
    found = verdict(error(by="symptom"), *earlier)
    assert (found.failure, found.culprit_event_id, found.confidence) == ("address_invalid", "address", 0.98)
    assert found.alternatives == ("near",)
    assert named(error(), *earlier)[0] == "near"


def test_of_two_failures_in_the_chain_the_one_nearer_along_it_is_named() -> None:
    earlier = (*ORDINARY, short("first", 50), captured("second", 55, "p-2", by="first"))
    assert named(error(by="second"), *earlier) == ("second", 0.65)
    turned = (*ORDINARY, short("first", 50), captured("second", 40, "p-2", by="first"))
    assert verdict(error(by="second"), *turned).alternatives == ("first",)


def test_a_chain_that_bites_its_tail_or_leaves_the_window_ends() -> None:
    circle = (placed(), short("a", 40, by="b"), label("b", 30, by="a"))
    assert named(error(by="a"), *circle)[0] == "a"
    assert named(error(by="error"), *circle)[0] == "b"
    assert named(error(by="forgotten"), *circle)[0] is None


@pytest.mark.parametrize("links", [{"by": "gone"}, {"by": "earlier"}, {"by": "label"}])
def test_no_unlinked_rival_is_blamed_while_what_caused_the_error_is_not_remembered(links: dict[str, Any]) -> None:
    earlier = error("earlier", 20, by="gone")
    failed = label("label", 30, transient=False, by="gone")
    found = verdict(error(**links), *ORDINARY, earlier, failed, short("rival", 10))
    whom = {"gone": "the error", "earlier": "event earlier", "label": "event label"}[links["by"]]
    assert (found.failure, found.culprit_event_id) == ("inconclusive", None)
    assert found.confidence <= GUESS_TO
    assert found.missing == (f"the event gone that caused {whom} is not remembered",)
    assert found.alternatives[0] == "rival"


def test_a_link_to_what_is_not_remembered_is_told_to_the_service_too() -> None:
    suspicion = emitted(error(by="gone"), *ORDINARY)
    assert isinstance(suspicion, RootCauseSuspected)
    assert suspicion.missing == ("the event gone that caused the error is not remembered",)


def test_what_an_ordinary_event_names_as_its_cause_is_not_missing() -> None:
    paid = captured("paid-by-request", 60, by="request-17")
    found = verdict(error(by="paid-by-request"), placed(), paid, short("culprit", 40))
    assert (found.culprit_event_id, found.confidence, found.missing) == ("culprit", 0.9, ())


@pytest.mark.parametrize("minutes", [-3, -300])
def test_a_link_outweighs_a_clock_that_says_the_cause_came_after_the_error(minutes: float) -> None:
    earlier = (*ORDINARY, label("near", 1), short("culprit", minutes))
    assert named(error(by="culprit"), *earlier) == ("culprit", 0.98)
    symptom = (
        *ORDINARY,
        short("near", 1),
        moved("culprit", minutes, valid=False),
        label("symptom", minutes - 1, by="culprit"),
    )
    assert named(error(by="symptom"), *symptom) == ("culprit", 0.98)


@pytest.mark.parametrize(
    ("events", "open_by_the_log"),
    [
        ((reserved("r", 28), short("s", 30)), True),
        ((short("s", 30), reserved("r", 33)), False),
        ((booked("b", 20), label("l", 22)), True),
        ((label("l", 22), booked("b", 25)), False),
        ((moved("right", 20, valid=True), moved("wrong", 24, valid=False)), True),
        ((moved("wrong", 24, valid=False), moved("right", 25, valid=True)), False),
        ((priced("up", 57, 700, 900), captured("paid", 60)), True),
        ((captured("paid", 60), priced("up", 63, 700, 900)), False),
        ((label("ahead", -4),), True),
    ],
)
def test_where_clocks_and_log_disagree_by_minutes_about_what_decides_nothing_is_sure(
    events: tuple[Event, ...], open_by_the_log: bool
) -> None:
    found = verdict(error(), placed(), *events)
    assert found.confidence == GUESS_TO
    assert found.culprit_event_id in {event.id for event in events}
    assert [" disagree" in each for each in found.missing] == [True]
    believed = emitted(error(), *in_hours(placed(), *events))
    assert isinstance(believed, RootCauseSuspected if open_by_the_log else RootCauseIdentified)


def test_a_conclusive_verdict_says_what_was_ruled_out() -> None:
    found = verdict(error(), *ORDINARY, *HARMLESS, short("culprit", 40), label("later", -30))
    assert {each.event_id: each.why for each in found.ruled_out} == {**RULED_OUT, "later": "after the error"}
    assert found.missing == ()


def test_the_verdict_on_an_order_that_is_not_remembered_says_so() -> None:
    assert verdict(error(), short("culprit", 40)).missing == ("the order as it was placed is not remembered",)


def test_what_was_dealt_with_rightly_is_named_only_where_nothing_else_is_open() -> None:
    lowered = (placed(), priced("lowered", 80, 700, 600), captured("right", 60, amount_minor=1800))
    assert named(error(), *lowered) == ("lowered", 0.7)
    assert named(error(), *lowered, short("far", 55)) == ("far", 0.9)
    assert named(error(by="lowered"), *lowered, short("far", 55)) == ("lowered", 0.98)


def test_a_failure_of_the_producer_that_failed_is_a_little_likelier() -> None:
    def rivals(source: str) -> tuple[Event, ...]:
        return placed(), captured("one", 95), label("label", 10.5, source=source), captured("two", 10, "p-2")

    assert named(error(source="urn:test:till"), *rivals("urn:test:other"))[0] is None
    elsewhere = error(service="shipping", source="urn:test:worker")
    assert named(elsewhere, *rivals("urn:test:shipping"))[0] == "label"
    assert named(elsewhere, *rivals("urn:test:shipping2"))[0] is None
    assert named(error(source="urn:test:other"), *rivals("urn:test:other"))[0] == "label"


def test_what_explained_an_earlier_error_yields_to_what_broke_since() -> None:
    earlier = (placed(), captured("paid", 90), short("old", 21), error("first", 20), label("new", 19))
    assert named(error(), *earlier) == ("new", 0.73)
    unexplained = (placed(), captured("paid", 90), short("old", 21), label("new", 19))
    assert named(error(), *unexplained) == (None, 0.47)


def test_what_explained_an_earlier_error_does_not_yield_to_what_was_there_then() -> None:
    earlier = (placed(), captured("paid", 90), short("old", 60), label("new", 30), error("first", 20))
    assert named(error(), *earlier) == ("new", 0.6)


def test_what_showed_again_since_the_error_it_explained_does_not_yield() -> None:
    earlier = (placed(), short("old", 25), error("first", 20), label("new", 12), short("again", 8))
    assert verdict(error("first", 20), placed(), short("old", 25)).culprit_event_id == "old"
    assert named(error(), *earlier) == ("old", 0.54)


def test_a_second_error_with_the_same_culprit_names_it_again() -> None:
    earlier = (*ORDINARY, short("culprit", 40), error("first", 30))
    assert named(error(), *earlier) == ("culprit", 0.9)


def test_a_capture_refunded_because_of_the_first_error_still_explains_the_second() -> None:
    twice = (*ORDINARY, captured("two", 40, "p-2"))
    assert named(error(), *twice, error("first", 30), refunded("back", 20, "p-2")) == ("two", 0.9)
    assert isinstance(emitted(error(), *twice, refunded("back", 20, "p-2")), RootCauseSuspected)


def test_an_error_caused_by_an_error_shares_its_culprit() -> None:
    earlier = (*ORDINARY, short("culprit", 40), error("first", 30), captured("near", 5, "p-2"))
    assert named(error(by="first"), *earlier) == ("culprit", 0.98)


def test_what_happened_after_the_error_is_no_culprit_though_it_arrived_before() -> None:
    assert named(error(), *ORDINARY, short("culprit", 40), label("later", -1)) == ("culprit", 0.9)
    assert isinstance(emitted(error(), *ORDINARY, label("later", -31)), RootCauseSuspected)


@given(st.permutations([*ORDINARY, *HARMLESS, *FAILURES["address_invalid"], short("s", 30), error("first", 35)]))
def test_the_order_of_arrival_changes_nothing_where_clocks_are_far_apart(events: list[Event]) -> None:
    found = verdict(error(), *in_hours(*events))
    assert (found.failure, found.culprit_event_id, found.confidence) == ("address_invalid", "culprit", 0.54)
    assert found.alternatives == ("s", "n-label", "n-wrong", "n-late", "n-down")


@given(st.permutations([*ORDINARY, *HARMLESS]))
def test_harmless_events_in_any_order_of_arrival_are_named_as_a_guess_at_most(events: list[Event]) -> None:
    """Those a few minutes apart may have come in the order of the log."""
    found = emitted(error(), *events)
    assert isinstance(found, (RootCauseIdentified, RootCauseSuspected))
    assert found.confidence <= GUESS_TO
    assert isinstance(emitted(error(), *in_hours(*events)), RootCauseSuspected)


def test_the_agent_decides_by_these_rules_on_errors_of_an_order() -> None:
    decision = root_cause.by_rules(history_of(error(), *ORDINARY, short("culprit", 40)))
    assert decision.outcome == "stock_shortage"
    assert (root_cause.name, root_cause.entity.name, root_cause.reacts_to) == (
        "root_cause",
        "order",
        frozenset({"ErrorOccurred", "RootCauseIdentified", *(kind.__name__ for kind in CULPRITS.values())}),
    )
    assert (root_cause.window.events, root_cause.window.age) == (50, timedelta(days=90))
    # What did not happen is no cause.
    others = (ServiceEvent, ExpectationMissed)
    assert root_cause.remembers == {name for name, kind in EVENT_TYPES.items() if not issubclass(kind, others)}


def unknown(error_id: str = "error", failure: str = "unknown") -> Event:
    return happened(
        RootCauseIdentified,
        "verdict",
        0,
        service="checkout",
        failure=failure,
        error_event_id=error_id,
        culprit_event_id=None,
        confidence=0.1,
        evidence=[error_id],
        alternatives=[],
    )


def test_a_cause_that_arrived_behind_its_error_is_found_when_the_error_is_called_unknown() -> None:
    assert isinstance(emitted(error(), *ORDINARY), RootCauseSuspected)

    found = verdict(unknown(), *ORDINARY, error(), short("late", 40))

    assert (found.error_event_id, found.culprit_event_id, found.failure) == ("error", "late", "stock_shortage")


def test_a_cause_that_happened_after_the_error_is_not_found_by_looking_again() -> None:
    assert decide(unknown(), *ORDINARY, error(minutes=30), short("later", 20)).outcome == "still_unknown"


def test_an_error_that_stays_unknown_is_not_suspected_again() -> None:
    decision = decide(unknown(), *ORDINARY, error())

    assert (decision.outcome, decision.emit) == ("still_unknown", ())


@pytest.mark.parametrize("verdict_on", [unknown(failure="stock_shortage"), unknown(error_id="forgotten")])
def test_an_error_that_is_explained_or_forgotten_is_not_looked_at_again(verdict_on: Event) -> None:
    decision = decide(verdict_on, *ORDINARY, error(), short("late", 40))

    assert (decision.outcome, decision.emit) == ("explained", ())


def test_looking_again_says_the_same_as_looking_with_everything_there() -> None:
    there = decide(error(), *ORDINARY, *HARMLESS, short("late", 40))
    again = decide(unknown(), *ORDINARY, *HARMLESS, error(), short("late", 40))

    assert there == again


TILL = "urn:test:till"


def test_a_cause_that_two_sources_could_mean_links_to_neither() -> None:
    log = (*ORDINARY, short("1001", 40), label("1001", 30, source=TILL))
    assert named(error(by="1001"), *log)[1] <= GUESS_TO
    linked = (*ORDINARY, short("1001", 40), label("l", 30, source=TILL))
    assert named(error(by="1001"), *linked) == ("1001", 0.98)


def test_a_culprit_whose_id_other_events_have_is_a_guess() -> None:
    decision = decide(error(), *ORDINARY, short("1001", 40), happened(FulfilmentRequested, "1001", 50, source=TILL))
    [found] = decision.emit
    assert isinstance(found, RootCauseIdentified)
    assert (found.failure, found.culprit_event_id) == ("stock_shortage", "1001")
    assert (found.confidence, decision.confidence) == (GUESS_TO, GUESS_TO)
    assert "its id is that of other events too" in decision.reason


def test_events_with_the_same_id_keep_their_own_places_in_the_story() -> None:
    numbered = [reserved("1", 95, "cup", 1, 1), short("1", 96, "cup", 1, source=TILL), short("2", 40)]
    assert named(error(), *ORDINARY, *numbered) == ("2", 0.9)


def test_an_error_of_another_source_with_the_same_id_is_an_earlier_error() -> None:
    earlier = error("error", 30, source=TILL)
    assert verdict(error(), *ORDINARY, short("culprit", 40), earlier).culprit_event_id == "culprit"


def test_an_unknown_error_that_two_sources_could_mean_is_not_looked_at_again() -> None:
    unknown = happened(
        RootCauseIdentified,
        "verdict",
        0,
        service="checkout",
        error_event_id="error",
        culprit_event_id=None,
        failure="unknown",
        confidence=0.1,
        evidence=["error"],
        alternatives=[],
    )
    one, other = error(minutes=30), error(minutes=20, source=TILL)
    assert decide(unknown, *ORDINARY, one, short("culprit", 40)).outcome == "stock_shortage"
    assert decide(unknown, *ORDINARY, one, other, short("culprit", 40)).outcome == "still_unknown"
