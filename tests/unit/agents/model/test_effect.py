"""Effects as values: how they are kept and made again, and what of them fails with their agent's decision."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import orjson
import pytest
from fakes import NOON, event_of
from pydantic import Field

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.effect import Effect, Statement
from agents.model.errors import DecisionFailed
from agents.model.event import Data, DomainEvent, Ids
from agents.model.history import History
from agents.model.types import Types
from agents.shop.entities import customer
from agents.shop.events import PaymentSucceeded
from tables.window import WindowSpec


class Size(StrEnum):
    SMALL = "small"


class Part(Data):
    number: int
    at: datetime


class Whole(Effect):
    when: datetime
    day: date
    wait: timedelta
    key: uuid.UUID
    price: Decimal
    share: float
    size: Size
    way: Literal["up", "down"]
    part: Part
    parts: tuple[Part, ...]
    ids: Ids
    counts: dict[str, int]
    raw: bytes
    note: str | None
    from_: str = Field(alias="from")

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:  # noqa: ARG002
        return []


class HTTPCall(Whole):
    pass


class Named(Whole, kind="other"):
    pass


def whole(kind: type[Whole] = Whole, **changes: Any) -> Whole:
    part = Part(number=1, at=NOON)
    given: dict[str, Any] = {
        "when": datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC),
        "day": date(2024, 5, 1),
        "wait": timedelta(days=1, seconds=3),
        "key": uuid.UUID(int=7),
        "price": Decimal("19.90"),
        "share": 0.1,
        "size": Size.SMALL,
        "way": "up",
        "part": part,
        "parts": (part, part),
        "ids": ("a", "b"),
        "counts": {"a": 1},
        "raw": b"\x01ab",
        "note": None,
        "from": "ada",
    }
    return kind(**given | changes)


@pytest.mark.parametrize("note", [None, "", "\u00e4 \u2028", "null"])
def test_an_effect_is_the_same_when_it_is_made_again_of_what_was_kept(note: str | None) -> None:
    effect = whole(note=note)
    kept = orjson.loads(orjson.dumps(effect.kept()))

    assert Whole.restored(kept) == effect
    assert kept["from"] == "ada"
    assert effect.shown() == effect.kept()


@pytest.mark.parametrize(
    "change", [{"when": "noon"}, {"size": "large"}, {"part": {"number": 1}}, {"counts": {"a": "x"}}]
)
def test_what_was_kept_of_something_else_is_no_effect(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 validation error for Whole"):
        Whole.restored({**whole().kept(), **change})


def test_a_kind_is_the_name_in_lower_case_unless_it_is_given_and_a_subclass_has_its_own() -> None:
    assert (Whole.kind, Named.kind) == ("whole", "other")
    assert (whole(HTTPCall).kind, type(whole(Named)).kind) == ("httpcall", "other")


class Raises(Effect):
    where: str
    answer: Any = None

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:  # noqa: ARG002
        return []

    def events(self) -> Sequence[DomainEvent]:
        if self.where == "events":
            raise RuntimeError
        return self.answer if self.where == "answer" else ()

    @property
    def moves_minor(self) -> int:
        if self.where == "moves":
            raise RuntimeError
        return self.answer if self.where == "sum" else 0


def decided(rules: Callable[[Any, Any], Any]) -> Decision:
    agent = Agent(name="odd", entity=customer, reacts_to=[PaymentSucceeded], remembers=[], window=SPEC)
    agent.rules(rules)
    types = Types([PaymentSucceeded], effects=[Raises])
    return agent.by_rules(History(types.receive(event_of(PaymentSucceeded, "e-1", NOON)), (), types))


SPEC = WindowSpec(events=5, age=timedelta(days=1))


@pytest.mark.parametrize(
    ("effects", "why"),
    [
        ([Raises(where="events")], "agent odd: RuntimeError while deciding"),
        ([Raises(where="moves")], "agent odd: RuntimeError while deciding"),
        ([Raises(where="answer")], "agent odd: TypeError while deciding"),
        ([Raises(where="answer", answer="ab")], "agent odd: no loaded domain declares the event str"),
        ([Raises(where="sum", answer=-1)], "agent odd: an effect moves a sum that is no integer of 0 or more"),
        ([Raises(where="sum", answer="5")], "agent odd: an effect moves a sum that is no integer of 0 or more"),
        ([whole()], "agent odd: no loaded domain declares the effect Whole"),
        (Raises(where=""), "agent odd: TypeError while deciding"),
        ([Raises], "agent odd: TypeError while deciding"),
        (None, "agent odd: TypeError while deciding"),
    ],
)
def test_an_effect_that_is_none_or_raises_fails_its_agents_decision(effects: Any, why: str) -> None:
    with pytest.raises(DecisionFailed) as failed:
        decided(lambda *_: Decision(outcome="x", reason="y", effects=effects))
    assert str(failed.value) == why


@pytest.mark.parametrize(
    "change", [{"outcome": 5}, {"reason": None}, {"hold": True}, {"emit": "ab"}, {"otherwise": [1]}]
)
def test_a_decision_of_other_things_than_it_is_made_of_fails(change: dict[str, Any]) -> None:
    with pytest.raises(DecisionFailed, match="TypeError while deciding"):
        decided(lambda *_: Decision(**{"outcome": "x", "reason": "y"} | change))


def test_an_iterator_of_effects_is_not_empty_for_who_comes_second() -> None:
    decision = decided(lambda *_: Decision(outcome="x", reason="y", effects=iter([Raises(where="")])))  # type: ignore[arg-type]

    assert len(decision.effects) == 1
    assert len(decision.effects) == 1
