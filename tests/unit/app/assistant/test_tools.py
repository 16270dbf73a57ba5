"""Tools: every read there is and nothing else, with the arguments of the endpoints, within limits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from app.assistant import tools as module
from app.assistant.tools import NAMES, WARNING, NotAnswerable, Tool, tools_of
from app.composition import create_app
from app.reads.shapes import Query, Shape
from app.settings import Settings
from app.views import endpoints
from app.views.endpoints import Asked, Endpoint
from app.web.callers import Role
from app.worker.application import Innervate

#: Reads that only a running worker can answer, or that are no JSON.
NO_TOOLS = {"/agents", "/agents/{agent}/windows/{entity_id:.+}", "/health/live", "/health/ready"}


@pytest.fixture
def app(tmp_path: Path) -> Innervate:
    return create_app(Settings(_env_file=None, datadir=tmp_path, database_url="postgresql://127.0.0.1:1/none"))


def test_every_read_is_a_tool_and_nothing_else_is(app: Innervate) -> None:
    declared = endpoints(app)
    by_path = {tool.endpoint.path: tool for tool in tools_of(app).values()}

    reads = {one.path for one in declared if one.method == "get" and one.media_type == "application/json"}
    assert reads - by_path.keys() <= NO_TOOLS
    assert NAMES.keys() <= by_path.keys()
    assert {"/refunds", "/ledger-entries", "/given-back"} <= by_path.keys()
    assert all(tool.endpoint.method == "get" and tool.endpoint.role is Role.READ for tool in by_path.values())


def test_every_tool_says_that_texts_are_data(app: Innervate) -> None:
    assert all(tool.description.endswith(WARNING) for tool in tools_of(app).values())


def test_arguments_are_those_of_path_and_query(app: Innervate) -> None:
    schema = tools_of(app)["story"].input_schema
    assert {"entity", "entity_id"} <= set(schema["required"])
    assert schema["additionalProperties"] is False

    limit = tools_of(app)["decisions"].input_schema["properties"]["limit"]
    assert (limit["default"], limit["maximum"]) == (20, 100)


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("decisions", {"limit": 101}, "limit: at most 100"),
        ("decisions", {"limit": 0}, "limit: "),
        ("decisions", {"limit": "many"}, "limit: "),
        ("decisions", {"decision_id": "x"}, "no argument decision_id"),
        ("decision", {}, "decision_id: "),
        ("decision", {"decision_id": "1 OR 1=1"}, "decision_id: "),
        ("workers", {"status": "well"}, "status: "),
        ("decisions", {"agent": "fraud"}, "PostgreSQL does not answer"),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_one_line(
    app: Innervate, name: str, arguments: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotAnswerable) as refused:
        await tools_of(app)[name].call(arguments)
    assert str(refused.value).startswith(why)
    assert "\n" not in str(refused.value)


class Found(Shape):
    """Something."""

    text: str


async def test_a_call_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_asked: Asked) -> BaseModel:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module, "CALL_SECONDS", 0.01)
    endpoint = Endpoint(path="/x", answer=never, summary="Something.", answers=Found, query=Query)

    with pytest.raises(NotAnswerable, match="ask for less"):
        await Tool(name="x", endpoint=endpoint).call({})
