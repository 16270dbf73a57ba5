"""A case as one file: nothing in it runs, every changed byte shows, and what is hidden is nowhere."""

from __future__ import annotations

import hashlib
import html
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop_catalogue import CATALOGUE

from agents.model.history import agent_source, digest_of
from agents.replay.records import TimelineRecord
from app.story.belonging import Belongings
from app.story.building import build
from app.story.case import Case, CaseKnowledge, CaseRecord, sealed
from app.story.case_file import case_file, problems_of
from app.story.material import (
    KeptApproval,
    KeptCall,
    KeptDecision,
    KeptLetter,
    KeptMessage,
    Material,
    Part,
    Row,
    kept,
    told,
)
from app.story.redacting import fields_of, redacted

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>' \" --> </pre></style> \x1b[2J \u202e {{7*7}} {% raw %}"
DECISION = "0123456789abcdef0123456789abcdef"


def case(text: str = HOSTILE, address: str = "12 Main Street") -> Case:
    paid = {
        "id": f"e-1 {text}",
        "source": f"urn:shop {text}",
        "type": f"Paid {text}",
        "time": "2024-05-01T12:00:00Z",
        "causationid": text,
        "data": {"order_id": "o-1", "text": text, "address": address, "amount_minor": 4711},
    }
    message = {
        "id": "m-1",
        "source": agent_source("fraud"),
        "type": text,
        "time": "2024-05-01T12:00:00Z",
        "data": {"order_id": "o-1", "told": f"sent to {address}"},
    }
    value = orjson.dumps(paid)
    record = TimelineRecord(topic="timeline-order", partition=0, offset=3, at=NOON, key=b"o-1", value=value)
    read = told(value)
    assert read is not None
    digest = digest_of([(3, value)])
    decision = KeptDecision(
        id=DECISION,
        agent="fraud",
        event_source=read.key[0],
        event_id=read.key[1],
        event_type=text,
        event_at=NOON,
        entity="order",
        entity_id="o-1",
        topic="timeline-order",
        partition=0,
        offset=3,
        history_offsets=(3,),
        history_sha256=digest,
        brain=text,
        model=text,
        outcome=text,
        reason=f"lives at {address} {text}",
        confidence=0.5,
        fallback_reason=text,
        status="rejected",
        decided_at=NOON,
        committed_at=NOON,
        correlation_id=text,
        chain_depth=0,
        messages=(KeptMessage(id="m-1", topic="t", key=text, event=kept(message)),),
    )
    belongings = Belongings({})
    belongings.own(read)
    belongings.own_decision(decision)
    material = Material(
        entity="order",
        entity_id="o-1",
        records=[(record, read)],
        decisions=[decision],
        belongs=belongings.events,
        approvals=[
            KeptApproval(
                decision_id=DECISION,
                reason=text,
                content_sha256="00",
                asked_at=NOON,
                expires_at=NOON + timedelta(hours=1),
                answer="rejected",
                answered_by=text,
                answered_at=NOON,
                effects=({"kind": "refund", "address": address, "text": text},),
                otherwise=(),
            )
        ],
        calls=[
            KeptCall(
                agent="fraud",
                event_source=read.key[0],
                event_id=read.key[1],
                attempt=1,
                model=text,
                prompt_sha256="00",
                prompt=f"{text} {orjson.dumps({'a': address}).decode()}",
                reply=text,
                is_cut=False,
                prompt_tokens=1,
                completion_tokens=None,
                latency_ms=3,
                error=text,
                called_at=NOON,
            )
        ],
        rows=[Row(decision_id=DECISION, table=text, row={"text": text, "address": address})],
        letters=[
            KeptLetter(
                id="00",
                consumer=text,
                reason=text,
                detail=f"{text} {address}",
                topic="t",
                partition=0,
                offset=1,
                died_at=NOON,
                redriven_at=None,
                redriven_by=None,
            )
        ],
        parts=[Part(topic="timeline-order", partition=0, first=0, read=((0, 9),))],
        left_out=[text],
        told_at=NOON,
    )
    return sealed(
        Case(
            innervate="0.1.0",
            story=build(material, entities=CATALOGUE.entities, naming={}),
            records=[
                CaseRecord(
                    topic="timeline-order",
                    partition=0,
                    offset=3,
                    recorded_at=NOON,
                    value=value.decode(),
                    is_base64=False,
                    sha256=read.sha256,
                )
            ],
            knowledge=[
                CaseKnowledge(
                    decision_id=DECISION,
                    topic="timeline-order",
                    partition=0,
                    offsets=[3],
                    dropped=[],
                    sha256=digest,
                    kind="same",
                )
            ],
            missing=[text],
            redacted=(),
            manifest=(),
        )
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_what_strangers_wrote_is_text_and_nothing_is_loaded_or_run() -> None:
    harmless, hostile = case_file(case("plain")), case_file(case())
    tags, expected = Tags(), Tags()
    tags.feed(hostile)
    expected.feed(harmless)

    assert [tag for tag, _ in tags.seen] == [tag for tag, _ in expected.seen]
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in tags.seen}
    for _, attributes in tags.seen:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
        assert (attributes.get("href") or "#").startswith("#")
    assert not {"\x1b", "\u202e"} & set(hostile)
    assert re.search(r"url\(|@import|https?://", hostile) is None


def test_every_link_leads_to_an_entry() -> None:
    tags = Tags()
    tags.feed(case_file(case()))
    ids = {attributes["id"] for _, attributes in tags.seen if "id" in attributes}

    assert {attributes["href"] for _, attributes in tags.seen if "href" in attributes} <= {f"#{each}" for each in ids}


def test_a_case_file_is_right_and_the_same_every_time() -> None:
    file = case_file(case())

    assert problems_of(file.encode()) == []
    assert case_file(case()) == file


@given(st.data())
def test_every_changed_byte_shows(data: Any) -> None:
    file = bytearray(FILE)
    place = data.draw(st.integers(0, len(file) - 1))
    file[place] ^= data.draw(st.integers(1, 255))

    assert problems_of(bytes(file)) != []


FILE = case_file(case()).encode()


def test_a_file_that_was_cut_or_is_another_is_not_right() -> None:
    assert problems_of(FILE[:-1]) != []
    assert problems_of(b"") != []
    assert problems_of(b"<html>hello</html>") != []


def resealed(text: str) -> bytes:
    """A file whose hashes of data and of everything were made to fit what somebody changed."""
    found = re.search(r'<pre id="case-data" data-sha256="([0-9a-f]{64})">([^<]*)</pre>', text)
    assert found is not None
    data = html.unescape(found[2])
    text = text.replace(found[1], hashlib.sha256(data.encode()).hexdigest())
    body = text[: text.rindex("<!-- sha256:")]
    return f"{body}<!-- sha256:{hashlib.sha256(body.encode()).hexdigest()} -->\n".encode()


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("lives at 12 Main", "lives in 12 Main", f"decision {DECISION} has another hash"),
        (
            "&#34;amount_minor\\&#34;:4711",
            "&#34;amount_minor\\&#34;:4712",
            "record timeline-order[0]@3 has another hash",
        ),
    ],
)
def test_whoever_mends_the_outer_hashes_is_found_by_the_inner_ones(was: str, becomes: str, said: str) -> None:
    text = FILE.decode()
    assert was in text

    assert said in problems_of(resealed(text.replace(was, becomes)))


def test_a_page_that_shows_something_else_than_its_data_is_found() -> None:
    text = FILE.decode().replace("<h2>What is open</h2>", "<h2>What is closed</h2>")

    assert problems_of(resealed(text)) == ["what it shows is not what its data says"]


def test_what_is_hidden_is_nowhere_in_the_file_and_hashes_of_the_originals_stay() -> None:
    whole = case("plain", address='Häuser "12" Straße')

    hidden = redacted(whole, ["Address", "amount_minor"])

    file = case_file(hidden)
    assert problems_of(file.encode()) == []
    for spelling in ("Häuser", "H\\u00e4user", "Straße", "4711"):
        assert spelling not in file
        assert spelling not in html.unescape(file)
    assert "[redacted 1]" in file
    assert hidden.records[0].sha256 == whole.records[0].sha256
    originals = {each.name: each.sha256 for each in whole.manifest}
    assert {each.name: each.original_sha256 for each in hidden.manifest if each.what != "record"} == {
        name: sha256 for name, sha256 in originals.items() if not name.startswith("timeline")
    }
    assert [each.kind for each in hidden.knowledge] == ["redacted"]


def test_equal_values_have_equal_pseudonyms() -> None:
    file = case_file(redacted(case("plain"), ["address"]))

    assert "lives at [redacted 1]" in file
    assert "[redacted 2]" not in file


@pytest.mark.parametrize("field", ["kind", "status", "id", "at", "data", "text", "reason", "name", "event", "own"])
def test_whatever_is_hidden_the_file_can_be_written(field: str) -> None:
    assert problems_of(case_file(redacted(case("event"), [field])).encode()) == []


def test_fields_to_hide_are_a_list_and_the_standard_ones() -> None:
    assert fields_of("address, standard,,ip", ["ip", "name"]) == ["address", "ip", "name"]
    assert fields_of(None, ["ip"]) == []
