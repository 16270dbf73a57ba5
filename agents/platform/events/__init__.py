"""Events of services, and of what is found about them."""

from agents.platform.events.findings import (
    BAD_CONFIGURATION,
    BAD_DEPLOYMENT,
    DEGRADED,
    GUESS_TO,
    INCONCLUSIVE,
    MOST_ALTERNATIVES,
    MOST_EVIDENCE,
    MOST_MISSING,
    MOST_RULED_OUT,
    SURE_FROM,
    UNKNOWN,
    BlamedService,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    RuledOut,
)
from agents.platform.events.services import ConfigChanged, ErrorOccurred, ServiceDeployed

__all__ = [
    "BAD_CONFIGURATION",
    "BAD_DEPLOYMENT",
    "DEGRADED",
    "GUESS_TO",
    "INCONCLUSIVE",
    "MOST_ALTERNATIVES",
    "MOST_EVIDENCE",
    "MOST_MISSING",
    "MOST_RULED_OUT",
    "SURE_FROM",
    "UNKNOWN",
    "BlamedService",
    "ConfigChanged",
    "ErrorOccurred",
    "EscalationRequested",
    "RootCauseIdentified",
    "RootCauseSuspected",
    "RuledOut",
    "ServiceDeployed",
]
