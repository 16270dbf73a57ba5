"""Slices: what is written is what is read, and what is read is what was recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from incident import AGENTS_OF_ORDERS, FILE, ORDER, double_refund
from shop_catalogue import CATALOGUE

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History
from agents.replay.records import Published, RecordedDecision, TimelineRecord
from agents.shop.entities import order
from agents.shop.events import RootCauseIdentified
from agents.shop.recovery.rules import recovery
from app.timemachine.replaying import replay_file
from app.timemachine.slices import Slice, SliceHeader, SliceUnreadable, dump, load
from outbox.journal import StoredReply

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
RECORD = TimelineRecord(
    topic="timeline-order",
    partition=3,
    offset=7,
    at=datetime(2024, 5, 1, 12, 0, 0, 1000, tzinfo=UTC),
    key=b"o-1",
    value=b'{"a": 1.50}',
    headers=(("content-type", b"text/x"), ("raw", b"\xff")),
)
DECISION = RecordedDecision(
    agent="recovery",
    event_id="e-1",
    topic="timeline-order",
    partition=3,
    offset=7,
    status="held",
    brain="gpt",
    model="gpt-1",
    fallback_reason=None,
    outcome="escalate",
    reason="because",
    confidence=0.1,
    history_offsets=(3, 5),
    history_sha256="00ff",
    messages=(
        Published(id="m-1", topic="recovery", key=b"o-1", value=b'{"b":2}'),
        Published(id="m-2", topic="recovery", key=b"\xfe", value=None),
    ),
    replies=(StoredReply(prompt_sha256="01", model="gpt-1", reply="{}"),),
)
HEADER = SliceHeader(
    agents=("recovery",),
    entity=("order", "o-1"),
    since=NOON,
    until=datetime(2024, 5, 2, tzinfo=UTC),
    redacted=("address",),
    window_events=20,
    llm_redact=("email",),
)


def written(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "slice.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines))
    return path


def header(**changes: Any) -> dict[str, Any]:
    return {
        "slice": {"version": 1, "agents": ["fraud"], "entity": None, "since": None, "until": None, "redacted": []}
        | {"window_events": None, "llm_redact": []}
        | changes
    }


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, value=None, key=None, headers=()),
        replace(RECORD, value=b"\xff\x00", key=b"\xfe"),
        replace(RECORD, value=b'{ "spaces" : "kept",\n"order":"too"}'),
        replace(RECORD, value='{"a":"ä\N{GRINNING FACE}"}'.encode()),
        replace(RECORD, value=b""),
    ],
)
def test_a_record_is_read_back_to_the_byte(tmp_path: Path, record: TimelineRecord) -> None:
    path = tmp_path / "slice.jsonl"
    dump(Slice(header=HEADER, records=[record], decisions=[]), path)

    assert load(path).records == [record]


def test_a_decision_and_the_header_are_read_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(Slice(header=HEADER, records=[], decisions=[DECISION]), path)

    found = load(path)

    assert found.decisions == [DECISION]
    assert found.header == HEADER


def test_a_slice_can_be_read_by_a_person(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(Slice(header=HEADER, records=[RECORD], decisions=[DECISION]), path)

    [first, second, third] = [orjson.loads(line) for line in path.read_bytes().splitlines()]

    assert first["slice"]["version"] == 2
    assert second["record"]["value"] == '{"a": 1.50}'
    assert second["record"]["headers"] == [["content-type", "text/x"], ["raw", {"base64": "/w=="}]]
    assert third["decision"]["messages"][0]["value"] == '{"b":2}'


def test_what_became_a_dead_letter_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dead = ("recovery", "timeline-order", 3, 17)
    dump(Slice(header=HEADER, records=[RECORD], decisions=[DECISION], dead=[dead]), path)

    assert load(path).dead == [dead]
    assert path.read_bytes().splitlines()[-1].startswith(b'{"dead":')


def test_lines_may_come_in_any_order_behind_the_header(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(Slice(header=HEADER, records=[replace(RECORD, offset=9), RECORD], decisions=[DECISION]), path)
    first, *rest = path.read_bytes().splitlines()
    path.write_bytes(b"\n\n".join([first, *reversed(rest)]))

    assert [record.offset for record in load(path).records] == [7, 9]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "there is nothing in it"),
        ([{"record": {}}], "line 1: expected a slice, got 'record'"),
        ([header(version=3)], "line 1: written in version 3 of the format, this reads versions up to 2"),
        ([header(colour="red")], "line 1: .*colour"),
        ([{"slice": {"version": 1}}], "line 1: lacks 'entity'"),
        ([header(), b"{"], "line 2: "),
        ([header(), b"[]"], "line 2: "),
        ([header(), {"surprise": {}}], "line 2: expected a decision, got 'surprise'"),
        ([header(), {"record": {"topic": "t"}}], "line 2: lacks 'at'"),
        ([header(), {"decision": {"agent": "a"}}], "line 2: lacks 'history_offsets'"),
    ],
)
def test_a_file_that_is_no_slice_is_refused_with_the_line(tmp_path: Path, lines: list[Any], problem: str) -> None:
    path = written(tmp_path, *lines)

    with pytest.raises(SliceUnreadable, match=problem) as refused:
        load(path)

    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(SliceUnreadable, match="No such file"):
        load(tmp_path / "nothing.jsonl")


def test_a_slice_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    path.write_text("old")
    bad = replace(DECISION, history_offsets=(2**80,))

    with pytest.raises(TypeError):
        dump(Slice(header=HEADER, records=[], decisions=[bad]), path)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unchanged_agents_decide_a_slice_as_recorded(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(double_refund(), path)

    result = replay_file(path, CATALOGUE)

    assert result.is_same, result.explain()
    assert len(result.same) == len(double_refund().decisions) == 19
    assert {str(each.history) for each in result.same} == {"same"}
    assert result.explain() == "19 same, 0 not"


def test_the_example_is_the_incident_it_tells_of() -> None:
    """Written anew by `python tests/support/incident.py` after a wanted change of an agent."""
    example = load(FILE)

    assert example.records == double_refund().records
    assert example.header.agents == AGENTS_OF_ORDERS
    assert example.header.entity == ("order", ORDER)


def test_another_version_of_an_agent_is_compared_with_what_its_name_decided(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(double_refund(), path)
    bold = Agent(
        name="recovery",
        entity=order,
        reacts_to=(RootCauseIdentified,),
        remembers=(RootCauseIdentified,),
        window=recovery.window,
    )

    @bold.rules
    def decide(event: RootCauseIdentified, _history: History) -> Decision:
        return Decision(outcome="ignored", reason=f"it is only {event.failure}\x1b[2J")

    result = replay_file(path, CATALOGUE, [bold])

    assert [each.decided and each.decided.outcome for each in result.changed] == ["ignored", "ignored"]
    assert {each.event_type for each in result.missing} == {"FraudScored", "FulfilmentRequested"}
    assert (result.same, result.new, result.is_same) == ([], [], False)
    told = result.explain()
    assert told.startswith("0 same, 5 not\n")
    assert "then refund_capture (0.90): duplicate_capture by" in told
    assert "now  ignored (1.00): it is only duplicate_capture\\u001b[2J" in told
    assert "\x1b" not in told


def test_only_decisions_from_the_beginning_of_the_span_on_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    cut = double_refund()
    late = [
        replace(each, at=NOON if n < 20 else datetime(2024, 5, 2, tzinfo=UTC)) for n, each in enumerate(cut.records)
    ]
    dump(replace(cut, header=replace(cut.header, since=datetime(2024, 5, 2, tzinfo=UTC)), records=late), path)

    result = replay_file(path, CATALOGUE)

    assert result.is_same, result.explain()
    assert {each.recorded.outcome for each in result.same if each.recorded} == {
        "suspected", "escalate", "still_unknown",
    }  # fmt: skip
    assert len(result.same) == 3


def test_a_slice_without_decisions_of_an_agent_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(double_refund(), path)

    result = replay_file(path, CATALOGUE, ["fraud"])

    assert not result.is_same
    assert result.explain() == "nothing was compared: the slice holds no decision of these agents"


def test_an_agent_nobody_knows_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(double_refund(), path)

    with pytest.raises(ValueError, match="no agent is called nobody"):
        replay_file(path, CATALOGUE, ["nobody"])


async def test_a_test_that_is_a_coroutine_may_replay(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    dump(double_refund(), path)

    assert replay_file(path, CATALOGUE, ["fulfilment"]).is_same
