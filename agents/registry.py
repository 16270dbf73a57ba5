"""Every agent there is, by name. A new agent is added here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agents.agent import Agent
from agents.fraud import fraud

AGENTS: Final[Mapping[str, Agent]] = MappingProxyType({agent.name: agent for agent in (fraud,)})
