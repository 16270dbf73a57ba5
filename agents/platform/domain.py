"""The platform as a domain. Others build on it: `Domain(uses=[platform])`."""

from __future__ import annotations

from typing import Final

from agents.model.domain import Domain
from agents.platform.entities import service
from agents.platform.events import (
    ConfigChanged,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.platform.incident import incident

platform: Final = Domain(
    name="platform",
    entities=(service,),
    events=(
        ErrorOccurred,
        ServiceDeployed,
        ConfigChanged,
        RootCauseIdentified,
        RootCauseSuspected,
        EscalationRequested,
    ),
    agents=(incident,),
)
