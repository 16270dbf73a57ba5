"""A cause that arrives behind its error is looked at when it arrives; nothing is said twice."""

from __future__ import annotations

from typing import Any

import pytest
from choreography import Choreography
from fakes import history_of
from shop_catalogue import AGENTS, parse_data
from stories import captured, error, happened, label, moved, placed, priced, reserved, short

from agents.model.decision import Decision
from agents.platform.events import GUESS_TO
from agents.shop.events import InventoryShort, RootCauseIdentified
from agents.shop.root_cause.rules import explain
from app.testing.choreography import Sending
from tables.event import Event, to_json

ORDINARY = (placed(), reserved("r-lamp", 99), captured("paid", 60))
#: Each may be the cause of an error at noon.
LATE = {
    "stock_shortage": short("late", 40),
    "duplicate_capture": captured("late", 40, "p-2"),
    "label_failed": label("late", 40),
    "address_invalid": moved("late", 40, valid=False),
    "price_changed": priced("late", 80, 700, 900),
}


def decide(arrived: Event, *earlier: Event) -> Decision:
    data = parse_data(arrived)
    assert data is not None
    return explain(data, history_of(arrived, *earlier))


def named(arrived: Event, *earlier: Event) -> list[tuple[str, str | None]]:
    verdicts = decide(arrived, *earlier).emit
    assert all(isinstance(verdict, RootCauseIdentified) for verdict in verdicts)
    return [(v.error_event_id, v.culprit_event_id) for v in verdicts if isinstance(v, RootCauseIdentified)]


def said(failure: str, confidence: float, error_id: str = "error") -> Event:
    about: dict[str, Any] = {"error_event_id": error_id, "culprit_event_id": "change", "evidence": [error_id]}
    rest: dict[str, Any] = {"service": "checkout", "failure": failure, "confidence": confidence, "alternatives": []}
    return happened(RootCauseIdentified, "verdict", 0, **about, **rest)


@pytest.mark.parametrize("failure", LATE)
def test_an_error_that_nothing_explained_is_explained_when_its_cause_arrives(failure: str) -> None:
    decision = decide(LATE[failure], *ORDINARY, error())

    [found] = decision.emit
    assert isinstance(found, RootCauseIdentified)
    assert (found.error_event_id, found.failure, found.culprit_event_id) == ("error", failure, "late")
    assert (decision.outcome, decision.confidence) == (failure, found.confidence)


@pytest.mark.parametrize("failure", LATE)
def test_without_an_error_before_it_nothing_is_to_be_explained(failure: str) -> None:
    decision = decide(LATE[failure], *ORDINARY)

    assert (decision.outcome, decision.emit) == ("nothing_to_explain", ())


@pytest.mark.parametrize(
    "earlier",
    [
        (short("known", 20), error()),
        (error(minutes=60),),
        (error(minutes=-8 * 24 * 60),),
        (error(), said("bad_deployment", 0.75)),
        (error(), error(source="urn:test:till")),
    ],
    ids=["explained surely", "before the cause", "a week after it", "explained by a change", "several with its id"],
)
def test_an_error_gets_no_other_verdict_by_what_is_no_better_cause(earlier: tuple[Event, ...]) -> None:
    assert named(label("late", 40), *ORDINARY, *earlier) == []


def test_a_guess_at_a_change_is_replaced_and_a_second_report_of_the_cause_says_nothing_new() -> None:
    log = (*ORDINARY, error(), said("bad_deployment", GUESS_TO))
    assert named(short("late", 40), *log) == [("error", "late")]
    assert named(short("again", 39), *log, short("late", 40)) == []


def test_what_the_error_names_as_its_cause_is_blamed_when_it_arrives_whatever_was_blamed_before() -> None:
    linked = error(by="late")
    assert named(short("late", 40), *ORDINARY, label("near", 5), linked) == [("error", "late")]
    assert named(short("late", -30), *ORDINARY, linked) == [("error", "late")]
    through = happened(InventoryShort, "unordered", 30, by="late", sku="vase", wanted=1, available=0)
    assert named(label("late", 40), *ORDINARY, through, error(by="unordered")) == [("error", "late")]


def test_a_rival_that_arrives_makes_no_sure_verdict_undone_and_an_unsure_one_inconclusive() -> None:
    assert named(label("late", 10), *ORDINARY, short("sure", 10), error()) == []
    unsure = (*ORDINARY, captured("again", 9.5, "p-2"), short("near", 10), error())
    assert decide(label("late", 10), *unsure).outcome == "inconclusive"
    assert named(label("late", 1), *unsure) == [("error", "late")]


def test_each_of_the_latest_errors_gets_its_verdict_and_no_more_than_eight_do() -> None:
    errors = [error(f"error-{number:02}", 30 - number / 10) for number in range(60)]
    assert named(short("late", 40), *ORDINARY, *errors) == [(f"error-{number}", "late") for number in range(52, 60)]


def played(*events: Event) -> list[dict[str, Any]]:
    ran = Choreography(agents=(AGENTS["root_cause"],)).run(Sending(to_json(event)) for event in events)
    return [event["data"] for event in ran.published if event["type"] == "RootCauseIdentified"]


def test_sixty_errors_of_one_order_name_one_culprit_once_each() -> None:
    errors = [error(f"error-{number:02}", 30 - number / 10) for number in range(60)]
    verdicts = played(*ORDINARY, short("culprit", 40), *errors)
    assert [verdict["error_event_id"] for verdict in verdicts] == [each.id for each in errors]
    last = verdicts[-1]
    assert (last["culprit_event_id"], last["failure"]) == ("culprit", "stock_shortage")


def test_an_order_whose_causes_come_last_is_told_of_once_for_each_changed_answer() -> None:
    verdicts = played(*ORDINARY, error(), short("s1", 40), short("s2", 35), label("far", 50), captured("p", 59, "p-1"))
    assert [(each["error_event_id"], each["culprit_event_id"]) for each in verdicts] == [("error", "s1")]
