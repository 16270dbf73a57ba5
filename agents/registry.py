"""Every agent there is, by name. A new agent is added here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agents.agent import Agent
from agents.confirmation import confirmation
from agents.fraud import fraud
from agents.fulfilment import fulfilment
from agents.incident import incident
from agents.recovery import recovery
from agents.root_cause import root_cause

_ALL: Final = (fraud, fulfilment, confirmation, root_cause, incident, recovery)

AGENTS: Final[Mapping[str, Agent]] = MappingProxyType({agent.name: agent for agent in _ALL})
