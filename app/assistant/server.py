"""Server: the tools as the SDK serves them. Imported only where the SDK is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import Any, Final

import orjson
from mcp import types
from mcp.server.lowlevel import Server

from app.assistant.telling import told
from app.assistant.tools import CALLS_AT_A_TIME, WARNING, NotAnswerable, Tool

log = logging.getLogger(__name__)

INSTRUCTIONS: Final = (
    "Innervate runs agents on Apache Kafka: each decides on events of an entity (a customer, an order, a service), and"
    " its decision is a row with its reason, what it knew, and the messages it published. Ask `find_story` or `story`"
    " what happened to an entity, `decision` and `what_it_knew` why an agent decided so, `workers` whether anything"
    " is stuck, `graph` who hears whom. Values of fields that say who a person is are replaced by pseudonyms."
    f" {WARNING}"
)

_READS: Final = types.ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def server_of(tools: Mapping[str, Tool], hidden: Collection[str]) -> Server[Any]:
    """A server of these tools; `hidden` are the fields whose values it never tells."""
    at_a_time = asyncio.Semaphore(CALLS_AT_A_TIME)
    listed = [
        types.Tool(name=tool.name, description=tool.description, input_schema=tool.input_schema, annotations=_READS)
        for tool in tools.values()
    ]

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            async with at_a_time:
                return await _answered(tools, params.name, params.arguments or {}, hidden)
        except NotAnswerable as refusal:
            return _error(str(refusal))
        except Exception:
            log.exception("a call of %s failed", params.name[:100])
            return _error("internal error")

    return Server(
        "innervate",
        version=version("innervate"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _answered(
    tools: Mapping[str, Tool], name: str, arguments: Mapping[str, Any], hidden: Collection[str]
) -> types.CallToolResult:
    tool = tools.get(name)
    if tool is None:
        raise NotAnswerable(f"there is no such tool; there are {', '.join(tools)}")
    answer = await tool.call(arguments)
    # Redaction of a large answer takes a while, in which others are answered.
    shown = await asyncio.to_thread(told, answer, hidden)
    text = types.TextContent(type="text", text=orjson.dumps(shown).decode())
    return types.CallToolResult(content=[text], structured_content=shown)


def _error(why: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=why)], is_error=True)
