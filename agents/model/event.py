"""Domain events: what happened, as typed `data`; and the types of its fields.

Strict: `true`, `1.0` and `"1"` are no integers. Tolerant: fields nobody here knows are ignored, so a producer
may add some. What breaks a rule fails with pydantic's `ValidationError`, which `Types.parse` translates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from agents.model.entity import Entity
from tables.event import read_time


class Data(BaseModel):
    """An immutable object of `data`: strict about the fields it knows, silent about the others."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)


class DomainEvent(Data):
    """What happened, as the `data` of an event; the name of the class is the event's type.

        class BuildFailed(DomainEvent, topic="builds", about=repository):
            repository_id: Id

    `topic` is the domain topic it is published to. `about` is whom it is about, the one whose id is its Kafka key
    first; a subclass has what its base says unless it says otherwise.

    `refers_to` are the fields that hold ids of other events, each with what those are to this one in one word
    (`refers_to={"culprit_event_id": "culprit"}`): who is told the story sees them marked. A subclass adds to them.
    """

    topic: ClassVar[str] = ""
    about: ClassVar[tuple[Entity, ...]] = ()
    refers_to: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(
        cls,
        *,
        topic: str | None = None,
        about: Entity | Sequence[Entity] | None = None,
        refers_to: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if topic is not None:
            cls.topic = topic
        if refers_to is not None:
            cls.refers_to = {**cls.refers_to, **refers_to}
        if about is not None:
            entities = (about,) if isinstance(about, Entity) else about
            if isinstance(entities, str) or not all(isinstance(entity, Entity) for entity in entities):
                raise TypeError(f"event {cls.__name__}: about must be an Entity, or several")
            cls.about = tuple(entities)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Pydantic hands it what `__init_subclass__` has taken already."""

    @property
    def carried(self) -> Mapping[str, Any]:
        """Ids of other domains' entities that an open event carries, by their fields; see `OpenEvent`.

        Each is a string; typed so that they can be handed on as keywords to an event that has other fields as well.
        """
        return {}

    @property
    def kafka_key(self) -> str:
        """The id of the first entity it is about that it names; "" when it names none."""
        ids = (*self.carried.values(), *(entity.id_of(self) for entity in self.about))
        return next((entity_id for entity_id in ids if entity_id), "")

    def written(self) -> dict[str, Any]:
        """The `data` that is published: what is read under an alias, under it."""
        return self.model_dump(mode="json", by_alias=True)


#: Identifies something: 1 to 256 characters.
Id = Annotated[str, Field(min_length=1, max_length=256)]


class OpenEvent(DomainEvent):
    """An event that may be about entities of domains its own knows nothing of.

    It carries the ids of those entities that a loaded domain names in `carries`, under the entities' own fields, and
    nothing else it does not know. Its Kafka key is the first id carried.
    """

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Id | None]

    @property
    def carried(self) -> Mapping[str, Any]:
        """The ids carried, by their fields."""
        return {name: entity_id for name, entity_id in (self.model_extra or {}).items() if entity_id}

    def written(self) -> dict[str, Any]:
        """The `data` that is published, the ids carried first."""
        fields = set(type(self).model_fields)
        return {**self.carried, **self.model_dump(mode="json", by_alias=True, include=fields)}


def event_types(where: str, given: object) -> tuple[type[DomainEvent], ...]:
    """The event types in a sequence of them. Raises TypeError, in one line that begins with `where`."""
    members = tuple(given) if isinstance(given, Iterable) and not isinstance(given, type | str) else None
    if members is None or not all(isinstance(each, type) and issubclass(each, DomainEvent) for each in members):
        raise TypeError(f"{where} must be a sequence of classes of events")
    return members


#: A short word or name, such as a version or a step: 1 to 256 characters.
Name = Annotated[str, Field(min_length=1, max_length=256)]
#: Free text, possibly empty; the size of the whole message bounds it.
Text = str
#: Money in minor units, 0 or more. Up to 2**53 - 1, the largest integer every JSON reader keeps (RFC 8259).
Money = Annotated[int, Field(ge=0, le=2**53 - 1)]
#: ISO 4217 code.
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
#: ISO 3166-1 alpha-2 code.
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
#: A number of things, 1 or more; PostgreSQL's integer is the upper bound.
Quantity = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: A number of things, 0 or more; PostgreSQL's integer is the upper bound.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
#: Probability, 0 to 1.
Confidence = Annotated[float, Field(ge=0, le=1)]


def _time(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    time = read_time(value)
    if time is None:
        raise ValueError("must be an RFC 3339 time with a zone")
    return time


#: A time, UTC; RFC 3339 in JSON.
Time = Annotated[datetime, BeforeValidator(_time)]
# JSON has lists only, so a list must do for a tuple; the members stay strict.
#: Ids in the order given.
Ids = Annotated[tuple[Id, ...], Field(strict=False)]
#: Texts in the order given.
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
