"""The shapes of a story: what is answered, shown and put into a case file. Names and types of fields are a promise.

Everything stands in one line of time (`Story.entries`), oldest first. An entry's place is when it came to be known: an
event by the record Kafka has of it, a decision by when it was decided; what follows never stands before its cause. When
an event happened, by its own word, is beside it (`happened_at`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from outbox.records import Status

#: Why an event stands in the story: it is the entity's own; it led to one of those or followed from one; an event of
#: the story names it; it is of the same correlation; or it only happened around the entity in the meantime.
Belonging = Literal["own", "linked", "named", "correlation", "context"]

#: Where an event is: a record was read; Kafka has dropped it; nobody looked there, or Kafka did not answer; it waits in
#: the outbox; Kafka refused it; Kafka has acknowledged it, and it was not met on a timeline.
EventState = Literal["log", "dropped", "unread", "pending", "buried", "published"]

#: What became of a message: as above; `withheld` until a person answers, `given_up` when it never will be published,
#: `shadow` of a shadow, `unknown` where nobody could look.
MessageState = Literal["log", "published", "pending", "buried", "withheld", "given_up", "shadow", "unknown"]


class StoryShape(BaseModel):
    """A part of a story."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EntityName(StoryShape):
    """An entity: its kind and its id."""

    entity: str
    entity_id: str


class Around(EntityName):
    """An entity of the story, with what of it is in the story."""

    #: Whether the story is about it.
    is_own: bool
    events: int
    decisions: int


class Place(StoryShape):
    """A record of an event in Kafka."""

    topic: str
    partition: int
    offset: int
    recorded_at: AwareDatetime


class Mark(StoryShape):
    """What an event is to another one that names it, in the words of that one's type: `culprit`, `evidence`, …."""

    role: str
    #: The entry that says so.
    by: str
    #: How sure the decision behind it was, 0 to 1; None when nobody said.
    confidence: float | None


class EventEntry(StoryShape):
    """A fact."""

    kind: Literal["event"] = "event"
    #: Unique in the story, the same whenever it is told; letters, digits and hyphens.
    id: str
    at: AwareDatetime
    event_source: str
    event_id: str
    type: str
    happened_at: AwareDatetime | None
    #: When Kafka had it: the earliest record that was met.
    recorded_at: AwareDatetime | None
    subject: str | None
    correlation_id: str | None
    #: The id of the event that caused it, as it says itself.
    causation_id: str | None
    #: None where its content is not known, or too large to be shown.
    data: Mapping[str, Any] | None
    data_bytes: int | None
    #: SHA-256 of its record, lower-case hex; of the message where there is no record.
    sha256: str | None
    #: Whom it names.
    entities: Sequence[EntityName]
    belongs: Belonging
    state: EventState
    places: Sequence[Place]
    #: Records beyond the first one in one timeline: it was sent, or routed, again.
    copies: int
    marks: Sequence[Mark]


class Knew(StoryShape):
    """What the agent knew, as the decision keeps it: the offsets of events in its timeline, and their hash."""

    topic: str
    partition: int
    #: Where the event it decided on stands.
    offset: int
    events: int
    sha256: str
    #: Offsets that Kafka no longer has, as far as is known here.
    dropped: int
    #: Where it is shown, verified.
    link: str


class ModelCall(StoryShape):
    """An attempt to ask a language model."""

    attempt: int
    model: str
    prompt_sha256: str
    #: Cut where it is too long to be shown.
    prompt: str
    reply: str | None
    is_cut: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: int
    #: Why nobody could decide by it; None when it was valid.
    error: str | None
    called_at: AwareDatetime


class EffectRow(StoryShape):
    """A row that was written with the decision."""

    table: str
    row: Mapping[str, Any]


class MessageFate(StoryShape):
    """A message of a decision, and what became of it."""

    message_id: str
    topic: str
    key: str
    type: str | None
    #: Whether it is published when the decision is not carried out.
    is_otherwise: bool
    state: MessageState
    #: Since when it has been in that state: Kafka's time of the record, the commit of what waits, the death of what is
    #: buried.
    at: AwareDatetime | None
    #: Why Kafka refused it.
    reason: str | None
    #: The entry of the event, if it is in the story.
    entry: str | None
    #: What its event says; None where the entry has it, or it is too large.
    data: Mapping[str, Any] | None


class Asked(StoryShape):
    """What a person was asked, and the answer."""

    reason: str
    content_sha256: str
    asked_at: AwareDatetime
    expires_at: AwareDatetime
    #: None while nobody has answered.
    answer: Literal["approved", "rejected", "expired"] | None
    answered_by: str | None
    answered_at: AwareDatetime | None
    #: State changes that an approval makes.
    effects: Sequence[Mapping[str, Any]]


class DecisionEntry(StoryShape):
    """A decision."""

    kind: Literal["decision"] = "decision"
    id: str
    at: AwareDatetime
    decision_id: str
    agent: str
    entity: str
    entity_id: str
    event_source: str
    event_id: str
    event_type: str
    outcome: str
    reason: str
    confidence: float
    #: `rules`, or the language model by its configured name.
    brain: str
    model: str | None
    fallback_reason: str | None
    status: Status
    decided_at: AwareDatetime
    committed_at: AwareDatetime
    correlation_id: str | None
    chain_depth: int | None
    knew: Knew
    calls: Sequence[ModelCall]
    effects: Sequence[EffectRow]
    messages: Sequence[MessageFate]
    approval: Asked | None


class AnswerEntry(StoryShape):
    """A person's answer about a decision that was held, or the end of its time."""

    kind: Literal["answer"] = "answer"
    id: str
    at: AwareDatetime
    #: The entry of the decision.
    decision: str
    answer: Literal["approved", "rejected", "expired"]
    by: str | None


class LetterEntry(StoryShape):
    """A dead letter about an event of the story, or about its entity by the key of the record."""

    kind: Literal["dead_letter"] = "dead_letter"
    id: str
    at: AwareDatetime
    letter_id: str
    consumer: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    #: The entry of the event; None when it is no event that could be read.
    event: str | None
    redriven_at: AwareDatetime | None
    redriven_by: str | None


class GapEntry(StoryShape):
    """Something that is not there, where it would stand."""

    kind: Literal["gap"] = "gap"
    id: str
    at: AwareDatetime
    #: Kafka has dropped records; nobody looked there; an event names a cause that was not found; nothing for long.
    reason: Literal["dropped", "unread", "cause_unknown", "silence"]
    #: The same for a person.
    sentence: str
    #: The entry that misses it; None for a silence.
    about: str | None
    #: How long a silence lasted.
    seconds: float | None


class GroupEntry(StoryShape):
    """A run of events of one type about which nothing else is said, as one."""

    kind: Literal["group"] = "group"
    id: str
    at: AwareDatetime
    #: When the last of them was.
    until: AwareDatetime
    type: str
    belongs: Belonging
    entries: Sequence[EventEntry]


Entry = Annotated[
    EventEntry | DecisionEntry | AnswerEntry | LetterEntry | GapEntry | GroupEntry, Field(discriminator="kind")
]


class Link(StoryShape):
    """One entry led to another, by identity and never by time."""

    cause: str
    effect: str
    #: An event was decided on; a decision published an event; an event says what caused it; a decision was answered; an
    #: event became a dead letter.
    kind: Literal["decided", "published", "caused", "answered", "died"]


class SourceState(StoryShape):
    """How much of a source is in the story."""

    source: Literal["postgresql", "kafka"]
    state: Literal["complete", "partial", "absent"]
    #: What is missing and why, in sentences.
    details: Sequence[str]


class Headline(StoryShape):
    """What happened, what was done, what is open: in plain sentences."""

    happened: Sequence[str]
    done: Sequence[str]
    open: Sequence[str]


class Story(StoryShape):
    """The story of one entity."""

    entity: str
    entity_id: str
    headline: Headline
    #: Whether something waits for somebody or something.
    is_open: bool
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    #: Whom it is about, the entity itself first.
    around: Sequence[Around]
    entries: Sequence[Entry]
    links: Sequence[Link]
    sources: Sequence[SourceState]
    #: What was left out, in sentences: a story is bounded.
    left_out: Sequence[str]
    truncated: bool
    #: What to give as `before` for what was earlier: an offset of the entity's timeline. None at the beginning.
    next: int | None
    told_at: AwareDatetime
