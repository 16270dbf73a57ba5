"""The AsyncAPI document: what the loaded domains read and write, and nothing that is not declared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from shop_catalogue import CATALOGUE
from waiting import PATIENCE_SECONDS

from agents import Agent, Data, Decision, Domain, DomainEvent, Entity, Id, OpenEvent, Text, WindowSpec
from agents.model.catalogue import Catalogue
from app.operators.asyncapi import asyncapi_document
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT

repository = Entity("repository", field="repository_id")


class Step(Data):
    name: Text


class BuildFailed(DomainEvent, topic="builds", about=repository):
    """A build failed.

    More that nobody needs there.
    """

    repository_id: Id
    step: Step


class Noticed(OpenEvent, topic="notices"):
    text: Text


flaky = Agent(
    name="flaky",
    entity=repository,
    reacts_to=[BuildFailed],
    remembers=[Noticed],
    window=WindowSpec(events=5, age=timedelta(days=1)),
)


@flaky.rules
def judge(*_: object) -> Decision:
    return Decision(outcome="seen", reason="seen")


CI = Domain(name="ci", entities=[repository], events=[BuildFailed, Noticed], agents=[flaky], carries=[repository])
EMPTY = Domain(name="empty")


@pytest.fixture
def document() -> Any:
    found = asyncapi_document(Catalogue([CI]), version="1.2.3", topics=["builds", "more"])
    return orjson.loads(orjson.dumps(found))


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for member in value.values():
            yield from refs(member)
    elif isinstance(value, list):
        for member in value:
            yield from refs(member)


def resolved(document: Any, ref: str) -> Any:
    assert ref.startswith("#/")
    found = document
    for step in ref.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_it_says_which_version_it_follows_and_what_it_is_about(document: Any) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert document["info"] == {"title": "ci", "version": "1.2.3"}
    assert document["defaultContentType"] == "application/cloudevents+json"


def test_its_channels_are_domain_topics_timelines_and_dead_letters(document: Any) -> None:
    assert {name: list(channel["messages"]) for name, channel in document["channels"].items()} == {
        "builds": ["BuildFailed"],
        "notices": ["Noticed"],
        "more": [],
        "timeline-repository": ["BuildFailed", "Noticed"],
        "dead-letters": ["dead-letter"],
    }
    assert document["channels"]["builds"]["address"] == "builds"
    assert document["channels"]["builds"]["bindings"] == {"kafka": {"topic": "builds", "bindingVersion": "0.5.0"}}


def test_an_agent_receives_what_it_decides_on_and_remembers_from_its_timeline(document: Any) -> None:
    assert document["operations"] == {
        "flaky.receive": {
            "action": "receive",
            "channel": {"$ref": "#/channels/timeline-repository"},
            "title": "flaky",
            "description": "Decides on BuildFailed; remembers Noticed.",
            "messages": [
                {"$ref": "#/channels/timeline-repository/messages/BuildFailed"},
                {"$ref": "#/channels/timeline-repository/messages/Noticed"},
            ],
        }
    }


def test_a_message_is_a_cloudevent_with_the_data_of_its_type_and_its_key(document: Any) -> None:
    assert document["components"]["messages"]["BuildFailed"] == {
        "name": "BuildFailed",
        "contentType": "application/cloudevents+json",
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEvents-1.0"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": "BuildFailed"},
                        "data": {"$ref": "#/components/schemas/BuildFailed"},
                    },
                    "required": ["data"],
                },
            ]
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": "repository_id"}, "bindingVersion": "0.5.0"}},
        "summary": "A build failed.",
    }
    data = document["components"]["schemas"]["BuildFailed"]
    assert data["required"] == ["repository_id", "step"]
    assert data["properties"]["repository_id"]["maxLength"] == 256
    assert data["properties"]["step"] == {"$ref": "#/components/schemas/Step"}
    envelope = document["components"]["schemas"]["CloudEvents-1.0"]
    assert envelope["required"] == ["specversion", "id", "source", "type", "time"]


def test_an_open_event_says_which_ids_it_may_carry(document: Any) -> None:
    noticed = document["components"]["messages"]["Noticed"]

    assert noticed["payload"]["allOf"][1]["properties"]["data"] == {
        "allOf": [
            {"$ref": "#/components/schemas/Noticed"},
            {"type": "object", "properties": {"repository_id": {"type": ["string", "null"]}}},
        ]
    }
    assert noticed["bindings"]["kafka"]["key"]["description"] == "repository_id"
    assert "summary" not in noticed


def test_a_dead_letter_says_what_its_headers_are(document: Any) -> None:
    headers = document["components"]["messages"]["dead-letter"]["headers"]

    assert headers["required"] == ["reason", "detail", "consumer", "topic", "partition", "offset", "time"]


@pytest.mark.parametrize("catalogue", [Catalogue([CI]), CATALOGUE, Catalogue([EMPTY])], ids=["ci", "shop", "empty"])
def test_everything_it_refers_to_is_in_it(catalogue: Catalogue) -> None:
    document = orjson.loads(orjson.dumps(asyncapi_document(catalogue, version="1")))

    assert all(resolved(document, ref) is not None for ref in refs(document))
    for name, channel in document["channels"].items():
        for ref in refs(channel):
            assert ref.startswith("#/components/messages/"), name


def test_the_command_prints_it_without_kafka_and_without_postgresql(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("innervate")), "asyncapi"],
        cwd=tmp_path,
        env=clean_environment() | {"DOMAINS": "agents.platform:platform", "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )

    document = orjson.loads(done.stdout)
    assert document["info"]["title"] == "platform"
    assert list(document["operations"]) == ["cascade.receive", "incident.receive"]
    assert list(document["channels"]) == ["platform", "recovery", "timeline-service", "dead-letters"]
