"""Every agent there is, by name, with what a language model may choose for it. A new agent is added here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import agents.shop.choices  # noqa: F401 - registers what a language model may choose
from agents.model.agent import Agent
from agents.platform.incident.rules import incident
from agents.shop.confirmation.rules import confirmation
from agents.shop.fraud.rules import fraud
from agents.shop.fulfilment.rules import fulfilment
from agents.shop.recovery.rules import recovery
from agents.shop.root_cause.rules import root_cause

_ALL: Final = (fraud, fulfilment, confirmation, root_cause, incident, recovery)

AGENTS: Final[Mapping[str, Agent]] = MappingProxyType({agent.name: agent for agent in _ALL})
