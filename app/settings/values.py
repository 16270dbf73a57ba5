"""Values of settings that hold several: names, and values by agent, separated by commas. A wrong one is a ValueError.

AGENTS=fraud,recovery
LLM_DAILY_TOKENS=2000000,fraud=5000000      a value for all agents, and another for one
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
from pydantic_settings import NoDecode

from app.settings.objects import catalogue_of

#: In place of an agent's name: the value of all agents that are not named.
OTHERS: Final = ""

T = TypeVar("T")


def known_agents(names: Collection[str], info: ValidationInfo) -> Sequence[str]:
    """The names, sorted, each once. Raises ValueError, with those there are, when one is no agent's.

    `info` is that of a field behind `domains`; where those are wrong themselves, names are not judged.
    """
    if "domains" in info.data:
        agents = catalogue_of(info.data["domains"]).agents
        if unknown := sorted(set(names) - set(agents)):
            raise ValueError(f"no agent named {', '.join(unknown)}; there are {', '.join(agents)}")
    return tuple(sorted(set(names)))


def of(values: Mapping[str, T], agent: str, default: T) -> T:
    """The agent's own value, else that of all others, else `default`."""
    return values.get(agent, values.get(OTHERS, default))


def _names(value: object) -> object:
    return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value


def _by_agent(value: object) -> object:
    """From `1,fraud=2` to a value by agent, still as text."""
    return _once(_pairs(value, others=True)) if isinstance(value, str) else value


def _by_named_agent(value: object) -> object:
    """From `fraud=a,recovery=b` to a value by agent, still as text."""
    return _once(_pairs(value, others=False)) if isinstance(value, str) else value


def _several_by_agent(value: object) -> object:
    """From `fraud=a,fraud=b` to all values by agent, still as text."""
    if not isinstance(value, str):
        return value
    several: dict[str, list[str]] = {}
    for agent, each in _pairs(value, others=False):
        several.setdefault(agent, []).append(each)
    return several


def _pairs(text: str, *, others: bool) -> Sequence[tuple[str, str]]:
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        agent, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign and others:
            agent, value = OTHERS, agent
        elif not sign or not agent or not value:
            raise ValueError("expected agent=value, separated by commas")
        pairs.append((agent, value))
    return pairs


def _once(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for agent, value in pairs:
        if agent in values:
            raise ValueError(f"there are two values for {agent or 'all agents'}")
        values[agent] = value
    return values


def _of_known_agents(values: Mapping[str, T], info: ValidationInfo) -> Mapping[str, T]:
    known_agents(values.keys() - {OTHERS}, info)
    return values


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
#: One value for an agent, and one for all others.
ByAgent = Annotated[Mapping[str, T], NoDecode, BeforeValidator(_by_agent), AfterValidator(_of_known_agents)]
#: One value for an agent; the others have none.
ByNamedAgent = Annotated[Mapping[str, T], NoDecode, BeforeValidator(_by_named_agent), AfterValidator(_of_known_agents)]
#: Any number of values for an agent.
SeveralByAgent = Annotated[
    Mapping[str, frozenset[T]], NoDecode, BeforeValidator(_several_by_agent), AfterValidator(_of_known_agents)
]
