"""Events of services, and of what is found about them."""

from agents.platform.events.findings import (
    BAD_CONFIGURATION,
    BAD_DEPLOYMENT,
    GUESS_TO,
    MOST_ALTERNATIVES,
    MOST_EVIDENCE,
    SURE_FROM,
    UNKNOWN,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
)
from agents.platform.events.services import ConfigChanged, ErrorOccurred, ServiceDeployed

__all__ = [
    "BAD_CONFIGURATION",
    "BAD_DEPLOYMENT",
    "GUESS_TO",
    "MOST_ALTERNATIVES",
    "MOST_EVIDENCE",
    "SURE_FROM",
    "UNKNOWN",
    "ConfigChanged",
    "ErrorOccurred",
    "EscalationRequested",
    "RootCauseIdentified",
    "RootCauseSuspected",
    "ServiceDeployed",
]
