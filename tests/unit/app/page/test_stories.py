"""A story as a page: everything strangers wrote in it is text, and what led to what is drawn and said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pages import Page, require_sound

from app.page.rendering import environment, render
from app.page.static_files import StaticFiles
from app.page.views.stories import story_context
from app.story.model import (
    AnswerEntry,
    Around,
    Asked,
    DecisionEntry,
    EffectRow,
    Entry,
    EventEntry,
    GapEntry,
    GroupEntry,
    Headline,
    Knew,
    LetterEntry,
    Link,
    Mark,
    MessageFate,
    ModelCall,
    Place,
    SourceState,
    Story,
)
from app.web.callers import Caller, Role

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: What a stranger may write into any field.
EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202e"


def event(name: str, **changed: Any) -> EventEntry:
    values: dict[str, Any] = {
        "id": name,
        "at": NOON,
        "event_source": EVIL,
        "event_id": EVIL,
        "type": EVIL,
        "happened_at": NOON,
        "recorded_at": NOON,
        "subject": EVIL,
        "correlation_id": EVIL,
        "causation_id": EVIL,
        "data": {EVIL: [EVIL, {EVIL: EVIL}]},
        "data_bytes": 10,
        "sha256": "00ff",
        "entities": [],
        "belongs": "own",
        "state": "log",
        "places": [Place(topic=EVIL, partition=0, offset=1, recorded_at=NOON)],
        "copies": 1,
        "marks": [Mark(role=EVIL, by="decision-1", confidence=0.9), Mark(role="culprit", by="gone", confidence=None)],
    }
    return EventEntry(**{**values, **changed})


def decision(name: str, **changed: Any) -> DecisionEntry:
    values: dict[str, Any] = {
        "id": name,
        "at": NOON + timedelta(seconds=1),
        "decision_id": "11111111-1111-5111-8111-111111111111",
        "agent": EVIL,
        "entity": EVIL,
        "entity_id": EVIL,
        "event_source": EVIL,
        "event_id": EVIL,
        "event_type": EVIL,
        "outcome": EVIL,
        "reason": EVIL,
        "confidence": 0.5,
        "brain": EVIL,
        "model": EVIL,
        "fallback_reason": EVIL,
        "status": "held",
        "decided_at": NOON,
        "committed_at": NOON,
        "correlation_id": EVIL,
        "chain_depth": 1,
        "knew": Knew(topic=EVIL, partition=0, offset=7, events=3, sha256="00", dropped=1, link="/x"),
        "calls": [
            ModelCall(
                attempt=1,
                model=EVIL,
                prompt_sha256="00",
                prompt=f"{EVIL}\n{EVIL}",
                reply=EVIL,
                is_cut=True,
                prompt_tokens=None,
                completion_tokens=3,
                latency_ms=1200,
                error=EVIL,
                called_at=NOON,
            )
        ],
        "effects": [EffectRow(table=EVIL, row={EVIL: EVIL})],
        "messages": [
            MessageFate(
                message_id=EVIL,
                topic=EVIL,
                key=EVIL,
                type=EVIL,
                is_otherwise=True,
                state="buried",
                at=NOON,
                reason=EVIL,
                entry=None,
                data={EVIL: EVIL},
            )
        ],
        "approval": Asked(
            reason=EVIL,
            content_sha256="00",
            asked_at=NOON,
            expires_at=NOON,
            answer="approved",
            answered_by=EVIL,
            answered_at=NOON,
            effects=[],
        ),
    }
    return DecisionEntry(**{**values, **changed})


def story(entries: list[Entry], links: list[Link]) -> Story:
    return Story(
        entity="order",
        entity_id=EVIL,
        headline=Headline(happened=[EVIL], done=[EVIL], open=[EVIL]),
        is_open=True,
        first_at=NOON,
        last_at=NOON,
        around=[
            Around(entity="order", entity_id=EVIL, is_own=True, events=1, decisions=1),
            Around(entity=EVIL, entity_id=EVIL, is_own=False, events=1, decisions=1),
        ],
        entries=entries,
        links=links,
        sources=[SourceState(source="kafka", state="partial", details=[EVIL])],
        left_out=[EVIL],
        truncated=True,
        next=5,
        told_at=NOON,
    )


def shown(told: Story) -> Page:
    context = {
        **story_context(told),
        "title": EVIL,
        "section": "/ui/stories",
        "navigation": [("/ui/stories", "Stories")],
        "caller": Caller(name=EVIL, role=Role.READ),
        "is_read_only": True,
        "csrf": None,
        "has_session": False,
        "agent_set": EVIL,
        "nonce": "the-nonce",
        "now": NOON,
    }
    return require_sound(render(environment(StaticFiles()), "story.html", context, whole=True), "the-nonce")


def test_whatever_strangers_wrote_is_text_in_every_kind_of_entry() -> None:
    entries: list[Entry] = [
        event("event-1"),
        decision("decision-1"),
        AnswerEntry(id="answer-1", at=NOON, decision="decision-1", answer="approved", by=EVIL),
        LetterEntry(
            id="letter-1",
            at=NOON,
            letter_id=EVIL,
            consumer=EVIL,
            reason=EVIL,
            detail=EVIL,
            topic=EVIL,
            partition=0,
            offset=1,
            event=None,
            redriven_at=NOON,
            redriven_by=EVIL,
        ),
        GapEntry(id="gap-1", at=NOON, reason="silence", sentence=EVIL, about=None, seconds=7200),
        GroupEntry(
            id="group-1",
            at=NOON,
            until=NOON,
            type=EVIL,
            belongs="context",
            entries=[event("event-2", data=None), event("event-3", state="pending")],
        ),
    ]
    links = [Link(cause="event-1", effect="decision-1", kind="decided")]

    page = shown(story(entries, links))

    assert page.text.count("alert(1)") > 60
    assert (page.all("img"), "\u202e" in page.text) == ([], False)
    assert "49" not in page.text


def test_what_led_to_what_is_said_in_words_too() -> None:
    entries: list[Entry] = [
        event("event-1", type="PaymentFailed", marks=[]),
        decision("decision-1", agent="fraud", outcome="block"),
    ]

    page = shown(story(entries, [Link(cause="event-1", effect="decision-1", kind="decided")]))

    assert "led to fraud: block" in page.text
    assert "because of PaymentFailed" in page.text
    assert {"#event-1", "#decision-1"} <= set(page.asked_for)


def test_a_link_to_what_was_left_out_is_not_followed() -> None:
    page = shown(story([event("event-1", marks=[])], [Link(cause="event-1", effect="gone", kind="decided")]))

    assert "#gone" not in page.asked_for


def test_an_event_in_a_group_is_found_by_its_own_name() -> None:
    group = GroupEntry(
        id="group-1", at=NOON, until=NOON, type="Seen", belongs="own", entries=[event("event-1"), event("event-2")]
    )

    page = shown(story([group, decision("decision-1")], [Link(cause="event-2", effect="decision-1", kind="decided")]))

    assert "#event-2" in page.asked_for
    assert len(page.all("circle")) == 2


def test_a_story_leads_to_its_case_file() -> None:
    page = shown(story([], []).model_copy(update={"entity_id": "a/b"}))

    assert "/stories/order/a%2Fb/case-file" in page.asked_for
