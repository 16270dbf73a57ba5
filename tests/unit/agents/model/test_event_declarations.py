"""What the class of an event says: its topic, whom it is about, its key, and what of it is published."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import Field

from agents.model.entity import Entity
from agents.model.event import DomainEvent, Id, OpenEvent, Text
from agents.model.types import Types
from tables.event import InvalidEvent, parse

repository = Entity("repository", field="repository_id")
branch = Entity("branch", field="branch_id")


class Build(DomainEvent, topic="builds", about=[branch, repository]):
    branch_id: Id | None = None
    repository_id: Id


class Failed(Build):
    pass


class Elsewhere(Build, topic="failures", about=repository):
    pass


class Noticed(OpenEvent, topic="notices", about=branch):
    branch_id: Id
    from_: Text = Field(default="", alias="from")


def received(data: dict[str, Any]) -> Any:
    types = Types([Noticed], carried=["repository_id"])
    envelope = {"specversion": "1.0", "id": "e-1", "source": "urn:x", "type": "Noticed", "time": "2024-05-01T12:00:00Z"}
    return types.parse(parse(orjson.dumps(envelope | {"data": data}), ()))


def test_an_event_has_the_topic_and_entities_of_its_base_unless_it_says_otherwise() -> None:
    assert (Failed.topic, Failed.about) == ("builds", (branch, repository))
    assert (Elsewhere.topic, Elsewhere.about) == ("failures", (repository,))
    assert (DomainEvent.topic, DomainEvent.about) == ("", ())


def test_the_key_is_the_first_entity_that_is_named() -> None:
    assert Build(branch_id="b-1", repository_id="r-1").kafka_key == "b-1"
    assert Build(repository_id="r-1").kafka_key == "r-1"
    assert Elsewhere(branch_id="b-1", repository_id="r-1").kafka_key == "r-1"


def test_an_open_event_carries_the_ids_that_are_named_and_nothing_else_and_its_key_is_one_of_them() -> None:
    noticed = received({"branch_id": "b-1", "repository_id": "r-1", "from": "ada", "secret": "x"})

    assert noticed.carried == {"repository_id": "r-1"}
    assert noticed.kafka_key == "r-1"
    assert noticed.written() == {"repository_id": "r-1", "branch_id": "b-1", "from": "ada"}
    assert received({"branch_id": "b-1"}).kafka_key == "b-1"
    assert received({"branch_id": "b-1", "repository_id": None}).written() == {"branch_id": "b-1", "from": ""}


@pytest.mark.parametrize("wrong", [7, "", "x" * 257, ["r-1"]])
def test_a_carried_id_that_is_none_makes_the_event_invalid(wrong: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"data\.repository_id"):
        received({"branch_id": "b-1", "repository_id": wrong})


def test_what_is_published_is_read_again_as_the_same_event() -> None:
    noticed = received({"branch_id": "b-1", "repository_id": "r-1", "from": "ada"})

    assert received(noticed.written()) == noticed


@pytest.mark.parametrize("name", ["", "Repository", "re po", "r" * 41, "1st", "a-b", "a@b"])
def test_an_entity_has_a_name_that_can_be_part_of_a_topic(name: str) -> None:
    with pytest.raises(ValueError, match="expected lower-case letters, digits and _, at most 40"):
        Entity(name, field="id")


@pytest.mark.parametrize("field", ["", "a b", "1st", "a-b", "a.b", "f" * 81])
def test_an_entity_has_a_field_that_a_model_can_have(field: str) -> None:
    with pytest.raises(ValueError, match="is no name of a field"):
        Entity("repository", field=field)


def test_an_entity_finds_its_id_and_names_itself_only_with_one() -> None:
    assert repository.id_of(Build(repository_id="r-1")) == "r-1"
    assert branch.id_of(Build(repository_id="r-1")) is None
    assert repository.named("r-1") == {"repository_id": "r-1"}
    assert repository.named(None) == repository.named("") == {}
