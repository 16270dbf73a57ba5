"""The shapes of a story: what is answered, shown and put into a case file. Names and types of fields are a promise.

Everything stands in one line of time (`Story.entries`), oldest first. An entry's place is when it came to be known: an
event by the record Kafka has of it, a decision by when it was decided; what follows never stands before its cause. When
an event happened, by its own word, is beside it (`happened_at`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from app.reads.expectations import State
from app.reads.shapes import NotKept, Shape
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


class EntityName(Shape):
    """An entity: its kind and its id."""

    entity: str
    entity_id: str


class Around(EntityName):
    """An entity of the story, with what of it is in the story."""

    is_own: bool
    """Whether the story is about it."""
    events: int
    decisions: int


class Place(Shape):
    """A record of an event in Kafka."""

    topic: str
    partition: int
    offset: int
    recorded_at: AwareDatetime


class Mark(Shape):
    """What an event is to another one that names it, in the words of that one's type: `culprit`, `evidence`, …."""

    role: str
    by: str
    """The entry that says so."""
    confidence: float | None
    """How sure the decision behind it was, 0 to 1; None when nobody said."""


class EventEntry(Shape):
    """A fact."""

    kind: Literal["event"] = "event"
    id: str
    """Unique in the story, the same whenever it is told; letters, digits and hyphens."""
    at: AwareDatetime
    event_source: str
    event_id: str
    type: str
    happened_at: AwareDatetime | None
    recorded_at: AwareDatetime | None
    """When Kafka had it: the earliest record that was met."""
    subject: str | None
    correlation_id: str | None
    causation_id: str | None
    """The id of the event that caused it, as it says itself."""
    data: Mapping[str, Any] | None
    """None where its content is not known, or too large to be shown."""
    data_bytes: int | None
    sha256: str | None
    """SHA-256 of its record, lower-case hex; of the message where there is no record."""
    entities: Sequence[EntityName]
    """Whom it names."""
    belongs: Belonging
    state: EventState
    places: Sequence[Place]
    copies: int
    """Records beyond the first one in one timeline: it was sent, or routed, again."""
    marks: Sequence[Mark]


class Knew(Shape):
    """What the agent knew, as the decision keeps it: the offsets of events in its timeline, and their hash."""

    topic: str
    partition: int
    offset: int
    """Where the event it decided on stands."""
    events: int
    sha256: str
    dropped: int
    """Offsets that Kafka no longer has, as far as is known here."""
    link: str
    """Where it is shown, verified."""


class ModelCall(Shape):
    """An attempt to ask a language model."""

    attempt: int
    model: str
    prompt_sha256: str
    prompt: str
    """Cut where it is too long to be shown, empty where it is no longer kept."""
    reply: str | None
    is_cut: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: int
    error: str | None
    """Why nobody could decide by it; None when it was valid."""
    called_at: AwareDatetime
    not_kept: NotKept | None = Field(None, exclude_if=lambda not_kept: not_kept is None)
    """Since when prompt and reply are no longer kept; left out while they are."""


class EffectRow(Shape):
    """A row that was written with the decision."""

    table: str
    row: Mapping[str, Any]


class MessageFate(Shape):
    """A message of a decision, and what became of it."""

    message_id: str
    topic: str
    key: str
    type: str | None
    is_otherwise: bool
    """Whether it is published when the decision is not carried out."""
    state: MessageState
    at: AwareDatetime | None
    """Since when it has been in that state: Kafka's time of the record, the commit of what waits, the death of what is
    buried.
    """
    reason: str | None
    """Why Kafka refused it."""
    entry: str | None
    """The entry of the event, if it is in the story."""
    data: Mapping[str, Any] | None
    """What its event says; None where the entry has it, or it is too large."""


class Asked(Shape):
    """What a person was asked, and the answer."""

    reason: str
    content_sha256: str
    asked_at: AwareDatetime
    expires_at: AwareDatetime
    answer: Literal["approved", "rejected", "expired"] | None
    """None while nobody has answered."""
    answered_by: str | None
    answered_at: AwareDatetime | None
    effects: Sequence[Mapping[str, Any]]
    """State changes that an approval makes."""


class Awaited(Shape):
    """What an agent expects to follow the event it decided on; one that was met in time is not kept."""

    name: str
    due_at: AwareDatetime
    """By the times of events."""
    state: State
    missed_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    """When happened what ended it after all."""
    ended_by: str | None
    """The id of that event."""


class DecidedBy(Shape):
    """Which code an agent decided by (`outbox.codes`)."""

    id: int
    """In the list of code versions."""
    version: str
    """What the agent declared."""
    rules_hash: str
    settings_hash: str
    release: str


class DecisionEntry(Shape):
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
    brain: str
    """`rules`, or the language model by its configured name."""
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
    # The hashes in a case file are of its JSON: one of before must keep its own.
    code: DecidedBy | None = Field(None, exclude_if=lambda code: code is None)
    """What the agent decided by; left out where its worker did not say."""
    expects: Sequence[Awaited] = Field((), exclude_if=lambda expects: not expects)
    """What has to follow, and did not in time; left out where nothing is awaited."""
    not_kept: NotKept | None = Field(None, exclude_if=lambda not_kept: not_kept is None)
    """Since when its messages are no longer kept; left out while they are."""


class AnswerEntry(Shape):
    """A person's answer about a decision that was held, or the end of its time."""

    kind: Literal["answer"] = "answer"
    id: str
    at: AwareDatetime
    decision: str
    """The entry of the decision."""
    answer: Literal["approved", "rejected", "expired"]
    by: str | None


class LetterEntry(Shape):
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
    event: str | None
    """The entry of the event; None when it is no event that could be read."""
    redriven_at: AwareDatetime | None
    redriven_by: str | None


class GapEntry(Shape):
    """Something that is not there, where it would stand."""

    kind: Literal["gap"] = "gap"
    id: str
    at: AwareDatetime
    reason: Literal["dropped", "unread", "cause_unknown", "silence"]
    """Kafka has dropped records; nobody looked there; an event names a cause that was not found; nothing for long."""
    sentence: str
    """The same for a person."""
    about: str | None
    """The entry that misses it; None for a silence."""
    seconds: float | None
    """How long a silence lasted."""


class GroupEntry(Shape):
    """A run of events of one type about which nothing else is said, as one."""

    kind: Literal["group"] = "group"
    id: str
    at: AwareDatetime
    until: AwareDatetime
    """When the last of them was."""
    type: str
    belongs: Belonging
    entries: Sequence[EventEntry]


Entry = Annotated[
    EventEntry | DecisionEntry | AnswerEntry | LetterEntry | GapEntry | GroupEntry, Field(discriminator="kind")
]


class Link(Shape):
    """One entry led to another, by identity and never by time."""

    cause: str
    effect: str
    kind: Literal["decided", "published", "caused", "answered", "died"]
    """An event was decided on; a decision published an event; an event says what caused it; a decision was answered; an
    event became a dead letter.
    """


class SourceState(Shape):
    """How much of a source is in the story."""

    source: Literal["postgresql", "kafka"]
    state: Literal["complete", "partial", "absent"]
    details: Sequence[str]
    """What is missing and why, in sentences."""


class Headline(Shape):
    """What happened, what was done, what is open: in plain sentences."""

    happened: Sequence[str]
    done: Sequence[str]
    open: Sequence[str]


class Story(Shape):
    """The story of one entity."""

    entity: str
    entity_id: str
    headline: Headline
    is_open: bool
    """Whether something waits for somebody or something."""
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    around: Sequence[Around]
    """Whom it is about, the entity itself first."""
    entries: Sequence[Entry]
    links: Sequence[Link]
    sources: Sequence[SourceState]
    left_out: Sequence[str]
    """What was left out, in sentences: a story is bounded."""
    truncated: bool
    next: int | None
    """What to give as `before` for what was earlier: an offset of the entity's timeline. None at the beginning."""
    told_at: AwareDatetime
