"""Which event a language model may blame for an error of an order, and how surely."""

from __future__ import annotations

from typing import Any

import pytest
from choosing import HOSTILE, by_rules, chosen, fill, refused
from fakes import history_of
from hypothesis import given
from hypothesis import strategies as st
from stories import captured, error, happened, label, moved, placed, priced, reserved, short

from agents.model.decision import Decision
from agents.model.errors import OutsidePolicy, Violation
from agents.platform.events import GUESS_TO
from agents.shop.entities import order
from agents.shop.events import RootCauseIdentified, RootCauseSuspected
from agents.shop.failures import CULPRITS, Failure
from agents.shop.root_cause.rules import root_cause
from tables.event import Event

#: Two failures are open, equally near: the rules prefer one at 0.45. One was made good, and one came after the error.
RIVALS = (
    placed(),
    reserved("reserved", 99),
    captured("paid", 60),
    short("made-good", 55, "cup", 1),
    reserved("cup", 54, "cup", 1, 1),
    short("short", 40),
    label("label", 40),
    moved("moved", -5, valid=False),
)


def judged(
    culprit: str | None,
    failure: str,
    *earlier: Event,
    confidence: float = 1.0,
    evidence: tuple[str, ...] = (),
    failed: Event | None = None,
) -> Decision:
    answers = {"culprit_event_id": culprit, "failure": failure, "confidence": confidence, "other_evidence": evidence}
    return chosen(root_cause, failed or error(), *(earlier or RIVALS), **answers)


def rejected(culprit: str | None, failure: str, **changed: Any) -> Violation:
    answers = {"culprit_event_id": culprit, "failure": failure, "confidence": 0.9, "other_evidence": []} | changed
    return refused(root_cause, error(), *RIVALS, **answers)


def verdict(decision: Decision) -> RootCauseIdentified:
    [event] = decision.emit
    assert isinstance(event, RootCauseIdentified)
    assert (decision.outcome, decision.confidence, decision.effects) == (event.failure, event.confidence, ())
    return event


@pytest.mark.parametrize(("culprit", "failure"), [("short", "stock_shortage"), ("label", "label_failed")])
def test_a_model_that_decides_between_rivals_is_no_surer_than_the_rules(culprit: str, failure: str) -> None:
    rules = by_rules(root_cause, error(), *RIVALS)
    assert (rules.outcome, rules.confidence) == ("inconclusive", 0.45)

    decision = judged(culprit, failure)

    found = verdict(decision)
    assert (found.culprit_event_id, found.failure, found.confidence) == (culprit, failure, 0.45)
    assert (order.id_of(found), found.service, found.error_event_id) == ("o-1", "checkout", "error")
    assert decision.reason == (
        f"event {culprit} explains the error, a guess, by the rules inconclusive; a model says: {HOSTILE}"
    )


def test_a_model_is_as_sure_of_what_the_rules_name_as_they_are_and_of_a_rival_it_only_guesses() -> None:
    linked = error(by="short")
    sure = judged("short", "stock_shortage", failed=linked)

    assert verdict(sure).confidence == 0.98
    assert "an open failure, by the rules stock_shortage" in sure.reason
    assert verdict(judged("short", "stock_shortage", failed=linked, confidence=0.3)).confidence == 0.3
    doubtful = judged("label", "label_failed", failed=linked)
    [guess] = doubtful.otherwise
    assert isinstance(guess, RootCauseIdentified)
    assert (doubtful.hold, guess.culprit_event_id, guess.confidence) == ("doubtful", "label", GUESS_TO)


@pytest.mark.parametrize(
    ("culprit", "failure"), [("made-good", "stock_shortage"), ("paid", "duplicate_capture")], ids=["good", "first"]
)
def test_what_is_no_open_failure_cannot_be_named(culprit: str, failure: str) -> None:
    assert rejected(culprit, failure) is Violation.NOT_PERMITTED


@pytest.mark.parametrize("evidence", [(), ("paid",), ("placed", "reserved", "paid", "error", "short", "placed")])
def test_evidence_is_the_culprit_and_the_error_and_what_the_model_names_each_once(evidence: tuple[str, ...]) -> None:
    others = tuple(each for each in dict.fromkeys(evidence) if each not in {"short", "error"})

    assert verdict(judged("short", "stock_shortage", evidence=evidence)).evidence == ("short", "error", *others)


def test_alternatives_are_found_as_by_the_rules_without_the_culprit() -> None:
    assert verdict(judged("short", "stock_shortage")).alternatives == ("label", "made-good")
    assert verdict(judged("label", "label_failed")).alternatives == ("short", "made-good")


@pytest.mark.parametrize("culprit", ["nowhere", HOSTILE[:80], "error"])
def test_an_event_that_is_not_remembered_cannot_be_blamed(culprit: str) -> None:
    assert rejected(culprit, "stock_shortage") is Violation.UNKNOWN_EVENT


def test_an_event_that_is_not_remembered_is_no_evidence() -> None:
    assert rejected("short", "stock_shortage", other_evidence=["paid", "nowhere"]) is Violation.UNKNOWN_EVENT


@pytest.mark.parametrize(
    ("culprit", "failure"),
    [
        ("paid", "stock_shortage"),
        ("short", "duplicate_capture"),
        ("placed", "price_changed"),
        ("moved", "address_invalid"),
        ("short", "unknown"),
        (None, "stock_shortage"),
    ],
    ids=["type", "other-type", "ordinary", "later", "unknown-with-culprit", "failure-without"],
)
def test_a_culprit_of_another_type_or_later_than_the_error_or_at_odds_with_the_failure_is_not_permitted(
    culprit: str | None, failure: str
) -> None:
    assert rejected(culprit, failure) is Violation.NOT_PERMITTED


def test_a_model_that_blames_nothing_hands_the_error_to_the_service() -> None:
    decision = judged(None, "unknown")

    [suspicion] = decision.emit
    assert isinstance(suspicion, RootCauseSuspected)
    assert (decision.outcome, decision.confidence, suspicion.confidence) == ("suspected", 0.1, 0.1)
    assert set(suspicion.alternatives[:2]) == {"short", "label"}
    assert judged(None, "unknown", placed()).emit == by_rules(root_cause, error(), placed()).emit


@pytest.mark.parametrize(
    ("culprit", "failure", "otherwise"),
    [(None, "unknown", RootCauseSuspected), ("label", "label_failed", RootCauseIdentified)],
)
def test_a_sure_verdict_of_the_rules_is_not_taken_back_by_a_model_alone(
    culprit: str | None, failure: str, otherwise: type
) -> None:
    story = (placed(), captured("paid", 60), short("short", 10), label("label", 40))
    sure = by_rules(root_cause, error(), *story)
    decision = judged(culprit, failure, *story, confidence=0.4)

    assert sure.confidence >= 0.5
    assert (decision.hold, decision.outcome, decision.emit) == ("doubtful", "stock_shortage", sure.emit)
    [published] = decision.otherwise
    assert isinstance(published, otherwise)


def test_a_doubt_about_the_same_culprit_is_published_and_waits_for_nobody() -> None:
    decision = judged("short", "stock_shortage", placed(), short("short", 40), confidence=0.3)

    assert (decision.hold, verdict(decision).confidence) == (None, 0.3)


def test_a_verdict_that_comes_by_leaves_no_choice() -> None:
    unknown = answered("unknown", None, 0.1)
    assert not root_cause.leaves_open(history_of(unknown, error()), by_rules(root_cause, unknown, error()))


def answered(failure: str, culprit: str | None, confidence: float) -> Event:
    about: dict[str, Any] = {"error_event_id": "error", "culprit_event_id": culprit, "evidence": ["error"]}
    said: dict[str, Any] = {"service": "checkout", "failure": failure, "confidence": confidence, "alternatives": []}
    return happened(RootCauseIdentified, "verdict", -1, **about, **said)


def test_what_a_model_did_not_believe_is_not_named_by_the_rules_at_the_second_look() -> None:
    """A person has it by then: nothing may happen behind their back."""
    decision = by_rules(root_cause, answered("unknown", None, 0.1), placed(), short("short", 40), error())

    assert (decision.outcome, decision.emit) == ("still_unknown", ())


@pytest.mark.parametrize(
    ("failure", "culprit", "confidence", "outcome"),
    [
        ("unknown", None, 0.1, "stock_shortage"),
        ("bad_deployment", "deployed", 0.49, "stock_shortage"),
        ("bad_configuration", "configured", 0.49, "stock_shortage"),
        ("bad_deployment", "deployed", 0.75, "explained"),
        ("label_failed", "label", 0.49, "explained"),
    ],
)
def test_a_cause_that_arrives_behind_its_error_is_found_although_a_model_guessed_at_a_change(
    failure: str, culprit: str | None, confidence: float, outcome: str
) -> None:
    late = (placed(), error(), short("short", 40))

    assert by_rules(root_cause, answered(failure, culprit, confidence), *late).outcome == outcome


@pytest.mark.parametrize(
    "changed",
    [
        {"culprit_event_id": ""},
        {"culprit_event_id": "x" * 257},
        {"failure": "bad_deployment"},
        {"failure": "fraud_blocked"},
        {"failure": HOSTILE},
        {"other_evidence": ["paid"] * 9},
        {"confidence": 2},
    ],
)
def test_what_is_not_on_the_lists_is_no_form(changed: dict[str, Any]) -> None:
    answers = {"culprit_event_id": "short", "failure": "stock_shortage", "confidence": 0.5, "other_evidence": []}
    with pytest.raises(ValueError, match=next(iter(changed))):
        fill(root_cause, **answers | changed)


EVENTS = [
    placed(), reserved("reserved", 99), captured("paid", 60), captured("again", 50, "p-2"), short("short", 40),
    short("cup", 45, "cup", 1), label("label", 40), label("for-good", 30, transient=False),
    moved("wrong", 35, valid=False), moved("right", 20, valid=True), priced("up", 80, 700, 900),
    moved("late", -5, valid=False),
]  # fmt: skip


@given(st.lists(st.sampled_from(EVENTS), unique_by=lambda event: event.id), st.sampled_from(EVENTS), st.floats(0, 1))
def test_only_the_culprit_of_an_open_failure_is_ever_named_and_no_more_surely_than_by_the_rules(
    earlier: list[Event], culprit: Event, confidence: float
) -> None:
    failure = next((name for name, kind in CULPRITS.items() if kind.__name__ == culprit.type), None)
    if failure is None or not earlier:
        return
    rules = by_rules(root_cause, error(), *earlier)
    [event] = rules.emit
    assert isinstance(event, (RootCauseIdentified, RootCauseSuspected))
    try:
        decision = judged(culprit.id, Failure(failure).value, *earlier, confidence=confidence)
    except OutsidePolicy:
        return

    found = verdict(decision)

    assert culprit in earlier
    if decision.hold is None:
        assert found.culprit_event_id == culprit.id
        assert found.confidence <= (event.confidence if event.culprit_event_id == culprit.id else GUESS_TO)
    else:  # what a person is asked is what the rules say, and what follows otherwise is a guess
        [guess] = decision.otherwise
        assert decision.emit == by_rules(root_cause, error(), *earlier).emit
        assert isinstance(guess, RootCauseIdentified)
        assert guess.confidence < 0.5


def test_of_events_with_one_id_a_model_names_one_with_its_source_and_is_believed_as_a_guess() -> None:
    log = (*RIVALS[:5], short("1001", 10), label("1001", 40, source="urn:test:till"))
    found = verdict(judged("1001 of urn:test:shop", "stock_shortage", *log, evidence=("1001 of urn:test:till",)))
    assert (found.culprit_event_id, found.confidence) == ("1001", GUESS_TO)
    with pytest.raises(OutsidePolicy) as caught:
        judged("1001", "stock_shortage", *log)
    assert caught.value.reason is Violation.UNKNOWN_EVENT
