"""Catalogue: everything the loaded domains declare, checked. What does not fit together is refused in one line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from agents.model.agent import Agent
from agents.model.choice import Choice, Choosing
from agents.model.domain import Domain, DomainInvalid
from agents.model.effect import Effect
from agents.model.entity import Entity
from agents.model.event import Data, DomainEvent, OpenEvent
from agents.model.listing import Listing
from agents.model.migrations import read_migrations
from agents.model.types import Types
from outbox.domain_migrations import DomainMigrations

T = TypeVar("T")

#: What events and effects say of themselves, which a field of that name would hide.
_EVENT_WORDS: Final = frozenset({"topic", "about", "refers_to", "carried", "kafka_key", "written"})
_EFFECT_WORDS: Final = frozenset({"kind", "statements", "events", "moves_minor", "kept", "restored", "shown"})

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: How the names of timelines begin.
TIMELINE: Final = "timeline-"
#: What Kafka allows as the name of a topic.
TOPIC: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")


class Catalogue:
    """The domains given and those they use, as one. `reserved` topics belong to nobody's events.

    `trusted` are sources, besides our agents, whose verdicts count. Raises `DomainInvalid`.
    """

    def __init__(self, domains: Sequence[Domain], *, reserved: Iterable[str] = (), trusted: Iterable[str] = ()) -> None:
        #: Each after those it uses.
        self.domains: Sequence[Domain] = tuple(_used_first(domains))
        self.entities: Mapping[str, Entity] = _unique(
            "entities", ((entity.name, entity, domain) for domain in self._own_first for entity in domain.entities)
        )
        events = _unique(
            "events", ((event.__name__, event, domain) for domain in self._own_first for event in domain.events)
        )
        effects = _unique(
            "effects", ((effect.kind, effect, domain) for domain in self._own_first for effect in domain.effects)
        )
        self.agents: Mapping[str, Agent] = _unique(
            "agents", ((agent.name, agent, domain) for domain in self._own_first for agent in domain.agents)
        )
        self.listings: Mapping[str, Listing] = _unique(
            "listings", ((each.name, each, domain) for domain in self._own_first for each in domain.listings)
        )
        carried = [entity for domain in self._own_first for entity in domain.carries]
        self._carried = frozenset(carried)
        self.types = Types(
            events.values(),
            carried=[entity.field for entity in carried],
            effects=effects.values(),
            escalates=next((domain.escalates for domain in self._own_first if domain.escalates), None),
            misses=next((domain.misses for domain in self._own_first if domain.misses), None),
            trusted=frozenset(trusted),
        )
        self._check(carried, frozenset(reserved))
        #: By domain, those used before those that use them.
        self.migrations: DomainMigrations = {
            domain.name: read_migrations(domain) for domain in self.domains if domain.migrations is not None
        }
        #: The domain topics, in the order in which the events are declared.
        self.topics: Sequence[str] = tuple(dict.fromkeys(event.topic for event in events.values()))

    def may_name(self, event: type[DomainEvent], entity: Entity) -> bool:
        """Whether an event of this type can name such an entity, and so belong to its timeline.

        An open event may name anybody: those it carries, and those whose agents read it, it is expected to name.
        """
        if entity.field in {field.alias or name for name, field in event.model_fields.items()}:
            return True
        is_read = any(event in agent.kinds for agent in self.agents.values() if agent.entity == entity)
        return issubclass(event, OpenEvent) and (entity in self._carried or is_read)

    @property
    def _own_first(self) -> Sequence[Domain]:
        return self.domains[::-1]

    def _check(self, carried: Sequence[Entity], reserved: frozenset[str]) -> None:
        for domain in self.domains:
            where = f"domain {domain.name}"
            for event in domain.events:
                self._check_event(f"{where}: event {event.__name__}", event, reserved)
            for effect in domain.effects:
                _check_effect(f"{where}: effect {effect.__name__}", effect)
            self._check_measures(where, domain)
            for agent in domain.agents:
                self._check_agent(f"{where}: agent {agent.name}", agent)
        for entity in carried:
            self._check_entity("carries", entity)

    def _check_entity(self, where: str, entity: Entity) -> None:
        if self.entities.get(entity.name) != entity:
            raise DomainInvalid(f"{where}: no loaded domain declares the entity {entity.name}")

    def _check_event(self, where: str, event: type[DomainEvent], reserved: frozenset[str]) -> None:
        if not TOPIC.fullmatch(event.topic):
            raise DomainInvalid(f"{where}: expected a topic (`topic=...` behind its bases), got {event.topic!r}")
        if event.topic in reserved or event.topic.startswith(TIMELINE):
            raise DomainInvalid(f"{where}: the topic {event.topic} is written by Innervate itself")
        _check_fields(where, event, _EVENT_WORDS)
        written = {field.alias or name for name, field in event.model_fields.items()}
        if strange := sorted(set(event.refers_to) - written):
            raise DomainInvalid(f"{where}: it refers to events by {strange[0]}, and has no such field")
        for entity in event.about:
            self._check_entity(where, entity)
            field = event.model_fields.get(entity.field)
            if field is None:
                raise DomainInvalid(f"{where}: it is about a {entity.name} and has no field {entity.field}")
            if field.alias is not None:
                raise DomainInvalid(f"{where}: {entity.field} is what it is about and can have no alias")
            if not _is_text(field.annotation):
                raise DomainInvalid(f"{where}: {entity.field} must be a text, as an id is")

    def _check_measures(self, where: str, domain: Domain) -> None:
        names = [measure.name for measure in domain.measures]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DomainInvalid(f"{where}: two measures are called {twice[0]}")
        for measure in domain.measures:
            if self.types.effects.get(measure.effect.kind) is not measure.effect:
                raise DomainInvalid(
                    f"{where}: measure {measure.name}: no loaded domain declares the effect {measure.effect.__name__}"
                )

    def _check_agent(self, where: str, agent: Agent) -> None:
        if not agent.has_rules:
            raise DomainInvalid(f"{where}: it has no rules")
        if not agent.reacts_to:
            raise DomainInvalid(f"{where}: it reacts to nothing")
        self._check_entity(where, agent.entity)
        for kind in agent.kinds:
            if self.types.events.get(kind.__name__) is not kind:
                raise DomainInvalid(f"{where}: no loaded domain declares the event {kind.__name__}")
            is_about = agent.entity in kind.about or issubclass(kind, OpenEvent)
            if not is_about:
                raise DomainInvalid(f"{where}: {kind.__name__} is about no {agent.entity.name}")
        if agent.expects and not self.types.tells_misses:
            raise DomainInvalid(f"{where}: it expects something, and no loaded domain tells of a miss (`misses`)")
        if agent.choosing is not None:
            _check_choosing(where, agent, agent.choosing)


def _used_first(domains: Iterable[Domain]) -> Iterator[Domain]:
    """Every domain once, those used before those that use them."""
    known: dict[str, Domain] = {}
    waiting: list[str] = []

    def visit(domain: Domain) -> Iterator[Domain]:
        if not _NAME.fullmatch(domain.name):
            raise DomainInvalid(f"domain name {domain.name!r}: expected lower-case letters, digits and _, at most 40")
        if domain.name in waiting:
            raise DomainInvalid(f"domain {domain.name} uses itself: {' → '.join([*waiting, domain.name])}")
        if domain.name in known:
            if known[domain.name] is not domain:
                raise DomainInvalid(f"two domains are called {domain.name}")
            return
        waiting.append(domain.name)
        for used in domain.uses:
            yield from visit(used)
        waiting.pop()
        known[domain.name] = domain
        yield domain

    for domain in domains:
        yield from visit(domain)


def _unique(what: str, declared: Iterable[tuple[str, T, Domain]]) -> Mapping[str, T]:
    found: dict[str, tuple[T, Domain]] = {}
    for name, value, domain in declared:
        if name in found:
            owners = dict.fromkeys(f"domain {each.name}" for each in (domain, found[name][1]))
            raise DomainInvalid(f"{' and '.join(owners)}: two {what} are called {name}")
        found[name] = value, domain
    return MappingProxyType({name: value for name, (value, _) in found.items()})


def _is_text(annotation: Any) -> bool:
    """Whether a field holds a text, or a text or nothing."""
    if get_origin(annotation) is Annotated:
        return _is_text(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return all(each is NoneType or _is_text(each) for each in get_args(annotation))
    return annotation is str


def _check_choosing(where: str, agent: Agent, choosing: Choosing) -> None:
    if strange := choosing.on - agent.reacts_to:
        names = ", ".join(sorted(strange))
        raise DomainInvalid(f"{where}: a model is asked about {names}, which it never decides on")
    form = choosing.form
    if not isinstance(form, type) or not issubclass(form, Choice):
        raise DomainInvalid(f"{where}: the form of its model must be a class of Choice")
    if not choosing.task:
        raise DomainInvalid(f"{where}: the docstring of {form.__name__} says no task to a model")


def _check_fields(where: str, model: type[Data], words: frozenset[str]) -> None:
    """Whether the fields hide nothing, and are written as they are read."""
    if hidden := sorted(words & model.model_fields.keys()):
        raise DomainInvalid(
            f"{where}: the field {hidden[0]} hides what Innervate needs: call it otherwise, with an alias"
        )
    for name, field in model.model_fields.items():
        if field.validation_alias != field.serialization_alias:
            raise DomainInvalid(f"{where}: {name} must be read and written under the same alias")


def _check_effect(where: str, effect: type[Effect]) -> None:
    if not _NAME.fullmatch(effect.kind):
        raise DomainInvalid(f"{where}: kind {effect.kind!r}: expected lower-case letters, digits and _, at most 40")
    _check_fields(where, effect, _EFFECT_WORDS)
    if inspect.isabstract(effect):
        raise DomainInvalid(f"{where}: it does not say what is written (`statements`)")
    try:
        effect.model_json_schema(mode="validation")
        effect.model_json_schema(mode="serialization")
    except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise DomainInvalid(f"{where}: it cannot be kept while a person is asked: {reason}") from None
