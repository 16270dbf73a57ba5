"""Every agent there is, by name, with what a language model may choose for it. A new agent is added here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import agents.choices  # noqa: F401 - registers what a language model may choose
from agents.agent import Agent
from agents.confirmation import confirmation
from agents.fraud import fraud
from agents.fulfilment import fulfilment
from agents.incident import incident
from agents.recovery import recovery
from agents.root_cause import root_cause

_ALL: Final = (fraud, fulfilment, confirmation, root_cause, incident, recovery)

AGENTS: Final[Mapping[str, Agent]] = MappingProxyType({agent.name: agent for agent in _ALL})
