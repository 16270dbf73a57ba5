"""The AsyncAPI document of every domain is one by the official schema, and what is taken for an event fits it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import ci_catalogue
import orjson
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from shop_catalogue import CATALOGUE as SHOP

from agents import Domain, DomainEvent, Entity, Id
from agents.model.catalogue import Catalogue
from agents.platform import platform
from app.operators.asyncapi import asyncapi_document
from app.simulator import simulate
from tables.event import InvalidEvent, parse

#: JSON schema of AsyncAPI 3.0.0, by the AsyncAPI Initiative; where it is from stands in `vendor/vendored.json`.
OFFICIAL: Final = Draft7Validator(orjson.loads((Path(__file__).parent / "vendor/asyncapi-3.0.0.json").read_bytes()))
CATALOGUES: Final = {
    "shop": SHOP,
    "platform": Catalogue([platform]),
    "another": ci_catalogue.CATALOGUE,
    "all together": ci_catalogue.BESIDE_THE_SHOP,
    "nothing": Catalogue([Domain(name="nothing")]),
}

TIME: Final = "2024-05-01T12:00:00Z"

thing = Entity("thing", field="Thing_Id")


class Überweisung(DomainEvent, topic="a.topic-with_signs", about=thing):  # noqa: PLC2401 - a class may be called so
    """Text with "quotes", $ref and <markup>."""

    Thing_Id: Id


CATALOGUES["strange names"] = Catalogue([Domain(name="strange", entities=[thing], events=[Überweisung])])


def document_of(catalogue: Catalogue) -> Any:
    found = asyncapi_document(catalogue, version="1.2.3", topics=[*catalogue.topics, "one.more"])
    return orjson.loads(orjson.dumps(found))


@pytest.fixture(params=list(CATALOGUES))
def document(request: pytest.FixtureRequest) -> Any:
    return document_of(CATALOGUES[request.param])


def problems(document: Any) -> list[str]:
    found = OFFICIAL.iter_errors(document)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]


def test_the_official_schema_has_nothing_to_say_against_it(document: Any) -> None:
    assert problems(document) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("info"),
        lambda document: document["channels"]["payments"].update(adress="payments"),
        lambda document: document["operations"]["fraud.receive"].update(action="listen"),
        lambda document: document["components"]["messages"]["OrderPlaced"].update(payload={"type": "text"}),
        lambda document: document["components"]["schemas"]["OrderPlaced"].update(required="order_id"),
    ],
    ids=["no info", "a misspelt field", "a wrong action", "a wrong payload", "a wrong schema"],
)
def test_the_official_schema_would_find_what_is_wrong(spoil: Callable[[Any], object]) -> None:
    document = document_of(SHOP)
    spoil(document)
    assert problems(document) != []


def test_every_schema_in_it_is_one(document: Any) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert isinstance(schema, dict), name
        Draft202012Validator.check_schema(schema)


def test_everything_the_loaded_domains_declare_is_in_it() -> None:
    catalogue = ci_catalogue.BESIDE_THE_SHOP
    document = document_of(catalogue)

    addresses = {channel["address"] for channel in document["channels"].values()}
    timelines = {f"timeline-{entity}" for entity in catalogue.entities}
    assert addresses == {*catalogue.topics, "one.more", *timelines, "dead-letters"}
    assert document["components"]["messages"].keys() == {*catalogue.types.events, "dead-letter"}
    assert {operation["title"] for operation in document["operations"].values()} == set(catalogue.agents)


def test_what_is_taken_for_an_event_of_the_shop_is_one_by_it() -> None:
    document = document_of(SHOP)
    registry = Registry().with_resource("urn:document", DRAFT202012.create_resource(document))
    start = datetime(2024, 5, 1, tzinfo=UTC)
    records = simulate(seed=7, orders=30, failures=10, start=start).records
    seen = set()
    for record in records:
        with suppress(InvalidEvent):  # some are wrong on purpose
            SHOP.types.receive(parse(record.value, ()))
            event = orjson.loads(record.value or b"")
            if event["type"] in SHOP.types.events:
                reference = f"urn:document#/components/messages/{event['type']}/payload"
                validator = Draft202012Validator({"$ref": reference}, registry=registry)
                assert [error.message for error in validator.iter_errors(event)] == [], event
                seen.add(event["type"])
    assert len(seen) > 8


def test_an_event_that_lacks_what_its_type_needs_is_none_by_it() -> None:
    document = document_of(SHOP)
    registry = Registry().with_resource("urn:document", DRAFT202012.create_resource(document))
    validator = Draft202012Validator(
        {"$ref": "urn:document#/components/messages/OrderCancelled/payload"}, registry=registry
    )
    event = {"specversion": "1.0", "id": "e", "source": "urn:x", "type": "OrderCancelled", "time": TIME}
    whole = {**event, "data": {"order_id": "o", "reason": "because"}}

    assert validator.is_valid(whole)
    assert not validator.is_valid(event)
    assert not validator.is_valid({**whole, "type": "OrderPlaced"})
    assert not validator.is_valid({**whole, "data": {"reason": "because"}})
