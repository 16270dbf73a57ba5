"""The checker finds every kind of broken promise it is asked about, and nothing where none was broken."""

from __future__ import annotations

from app.demo.checker import Decided, Findings, Published, check


def decided(event_id: str, *message_ids: str, agent: str = "fraud") -> Decided:
    return Decided(agent=agent, event=("urn:shop", event_id), message_ids=message_ids)


def published(*message_ids: str, topic: str = "payments", key: bytes = b"o-1") -> list[Published]:
    return [Published(message_id=message_id, topic=topic, key=key) for message_id in message_ids]


def found(due: list[str], rows: list[Decided], messages: list[Published]) -> dict[str, list[str]]:
    findings = check(due={"fraud": [("urn:shop", each) for each in due]}, decided=rows, published=messages)
    return {name: getattr(findings, name) for name in Findings.__slots__ if getattr(findings, name)}


ROWS = [decided("e1", "m1"), decided("e2", "m2a", "m2b"), decided("e3", "m3")]
CLEAN = published("m1", "m2a", "m2b", "m3")


def test_a_clean_run_has_no_findings() -> None:
    findings = check(due={"fraud": [("urn:shop", each) for each in ("e1", "e2", "e3")]}, decided=ROWS, published=CLEAN)
    assert findings == Findings()
    assert (findings.lost, findings.duplicates, findings.broken) == (0, 0, False)
    assert list(findings.examples()) == []


def test_an_event_nobody_decided_is_lost() -> None:
    assert found(["e1", "e2", "e3", "e4"], ROWS, CLEAN) == {"undecided": ["e4 of urn:shop by fraud"]}


def test_a_decision_of_another_agent_is_no_decision_of_this_one() -> None:
    rows = [decided("e1", "m1", agent="refund")]
    assert found(["e1"], rows, published("m1")) == {"undecided": ["e1 of urn:shop by fraud"]}


def test_an_event_decided_twice_is_doubled() -> None:
    rows = [*ROWS, decided("e2", "m9")]
    assert found(["e1", "e2", "e3"], rows, published("m1", "m2a", "m2b", "m3", "m9")) == {
        "decided_twice": ["e2 of urn:shop by fraud"]
    }


def test_two_agents_may_decide_on_the_same_event() -> None:
    rows = [decided("e1", "m1"), decided("e1", "m2", agent="refund")]
    assert found(["e1"], rows, published("m1", "m2")) == {}


def test_a_committed_message_that_never_left_is_lost() -> None:
    assert found(["e1", "e2", "e3"], ROWS, published("m1", "m2a", "m3")) == {"unpublished": ["m2b"]}


def test_a_message_without_a_committed_decision_is_found() -> None:
    assert found(["e1", "e2", "e3"], ROWS, [*CLEAN, *published("m0")]) == {"uncommitted": ["m0"]}


def test_a_held_decision_that_leaks_a_message_is_found() -> None:
    assert found(["e1"], [decided("e1")], []) == {}
    assert found(["e1"], [decided("e1")], published("m1")) == {"uncommitted": ["m1"]}


def test_a_rejected_decision_publishes_what_it_says_otherwise_and_nothing_else() -> None:
    rejected = decided("e1", "otherwise-1")
    assert found(["e1"], [rejected], published("otherwise-1")) == {}
    assert found(["e1"], [rejected], published("m1")) == {"unpublished": ["otherwise-1"], "uncommitted": ["m1"]}


def test_a_message_published_again_is_doubled_but_not_out_of_order() -> None:
    messages = published("m1", "m2a", "m2b", "m1", "m2a", "m2b", "m3")
    assert found(["e1", "e2", "e3"], ROWS, messages) == {"repeated": ["m1", "m2a", "m2b"]}


def test_a_message_behind_a_later_one_of_its_key_is_out_of_order() -> None:
    assert found(["e1", "e2", "e3"], ROWS, published("m1", "m2b", "m2a", "m3")) == {"out_of_order": ["m2a"]}
    assert found(["e1", "e2", "e3"], ROWS, published("m3", "m1", "m2a", "m2b")) == {
        "out_of_order": ["m1", "m2a", "m2b"]
    }


def test_messages_of_different_keys_or_topics_have_no_order() -> None:
    elsewhere = published("m3", key=b"o-2"), published("m3", topic="orders")
    for first in elsewhere:
        assert found(["e1", "e2", "e3"], ROWS, [*first, *published("m1", "m2a", "m2b")]) == {}


def test_every_finding_breaks_the_run_and_counts_as_lost_or_doubled_where_it_is() -> None:
    for name, lost, duplicates in (
        ("undecided", 1, 0),
        ("unpublished", 1, 0),
        ("decided_twice", 0, 1),
        ("repeated", 0, 1),
        ("uncommitted", 0, 0),
        ("out_of_order", 0, 0),
    ):
        findings = Findings(**{name: ["x"]})
        assert (findings.lost, findings.duplicates, findings.broken) == (lost, duplicates, True), name


def test_examples_name_the_first_five_and_say_how_many_there_are() -> None:
    findings = Findings(undecided=[f"e{number}" for number in range(7)], out_of_order=["m1"])
    assert list(findings.examples()) == [
        "undecided: 7, for instance e0, e1, e2, e3, e4",
        "out of order: 1, for instance m1",
    ]
