"""Arguments of `replay`: what somebody wants replayed. A wrong one is a ValueError in one line."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import click

from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.replay.span import Span
from app.settings import Settings
from app.settings.objects import agent_object

#: Tokens a replay may use unless it is said (own choice: some hundred short decisions).
MAX_TOKENS: Final = 100_000

DecidedBy = Literal["recorded", "rules", "model"]


class Place(click.ParamType):
    """A time with its zone, or an offset."""

    name = "time or offset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | int:
        """Read digits as an offset, anything else as RFC 3339."""
        if value.isdecimal() and value.isascii():
            return int(value)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail("expected a time such as 2024-05-01T12:00:00Z, or an offset", param, ctx)
        if at.tzinfo is None:
            self.fail("the time needs a zone, such as Z", param, ctx)
        return at


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What somebody wants replayed, as on the command line."""

    agents: tuple[str, ...] = ()
    #: Other versions of agents, `module:name`, in place of those of the same names.
    versions: tuple[str, ...] = ()
    entity: tuple[str, str] | None = None
    since: datetime | int | None = None
    until: datetime | int | None = None
    decide: DecidedBy = "recorded"
    model: str | None = None
    max_tokens: int = MAX_TOKENS


def agents_of(asked: Asked, catalogue: Catalogue) -> Sequence[Agent]:
    """The agents to replay. Raises ValueError in one line."""
    live = catalogue.agents
    versions = {agent.name: agent for agent in (agent_object(place, catalogue) for place in asked.versions)}
    names = asked.agents or tuple(versions) or tuple(live)
    unknown = sorted(set(names) - live.keys())
    if unknown:
        raise ValueError(f"no agent named {', '.join(unknown)}; there are {', '.join(live)}")
    agents = [versions.get(name, live[name]) for name in dict.fromkeys(names)]
    left_out = sorted(versions.keys() - {agent.name for agent in agents})
    if left_out:
        raise ValueError(f"--agents leaves out {', '.join(left_out)}, which --agent gives a version of")
    entity = asked.entity
    if entity is not None:
        if entity[0] not in catalogue.entities:
            raise ValueError(f"an entity is one of {', '.join(catalogue.entities)}, not {entity[0]}")
        agents = [agent for agent in agents if agent.entity.name == entity[0]]
        if not agents:
            raise ValueError(f"none of these agents is about a {entity[0]}")
    return agents


def span_of(asked: Asked) -> Span:
    """What to decide again. Raises ValueError."""
    since, until = asked.since, asked.until
    return Span(
        from_offset=since if isinstance(since, int) else 0,
        to_offset=until if isinstance(until, int) else None,
        from_at=since if isinstance(since, datetime) else None,
        to_at=until if isinstance(until, datetime) else None,
        entity_id=asked.entity[1] if asked.entity else None,
    )


def describe(settings: Settings, asked: Asked, agents: Sequence[Agent]) -> Mapping[str, Any]:
    """Everything the result depends on but the log: what a replay that goes on must have in common with its begin."""
    described: dict[str, Any] = {
        "agents": [agent.name for agent in agents],
        "versions": [[place, _code_sha256(place)] for place in asked.versions],
        "entity": None if asked.entity is None else " ".join(asked.entity),
        "from": _shown(asked.since),
        "to": _shown(asked.until),
        "decide": asked.decide,
        "window_events": settings.window_events,
        "redacted": list(settings.llm_redact),
    }
    if asked.decide == "model":
        described |= {"model": asked.model or settings.llm_model, "max_tokens": asked.max_tokens}
    return described


def _shown(place: datetime | int | None) -> str | int | None:
    return place.isoformat() if isinstance(place, datetime) else place


def _code_sha256(place: str) -> str:
    """Of the file an agent is written in: going on with other code would mix two versions."""
    module = importlib.import_module(place.partition(":")[0])
    return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()
