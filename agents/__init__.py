"""Agents: everything a domain needs, in one import.

    from agents import Agent, Decision, Domain, DomainEvent, Effect, Entity, History, Id, WindowSpec, platform

A domain is a value of what is here (`Domain`); `platform` is one that ships, to build on. How agents are run is not
here: that is `agents.engine`, `agents.brains` and `agents.replay`, which know no domain.
"""

from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.domain import Domain, DomainInvalid
from agents.model.effect import Effect, Statement
from agents.model.entity import Entity
from agents.model.errors import OutsidePolicy, Violation
from agents.model.event import (
    Confidence,
    Count,
    Country,
    Currency,
    Data,
    DomainEvent,
    Id,
    Ids,
    Money,
    Name,
    OpenEvent,
    Quantity,
    Text,
    Texts,
)
from agents.model.expectation import Expectation
from agents.model.forms import EventId, Sureness, downgraded, not_permitted, told, unknown_event
from agents.model.history import History, Past
from agents.model.listing import ListedRow, Listing, ListingInvalid
from agents.model.measure import Measure, MeasureInvalid
from agents.model.miss import Miss
from agents.model.refusal import Refusal
from agents.platform import platform
from agents.platform.entities import service
from agents.platform.events import (
    ConfigChanged,
    ErrorOccurred,
    EscalationRequested,
    ExpectationMissed,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from tables.window import WindowSpec

__all__ = [
    "Agent",
    "Catalogue",
    "Choice",
    "Confidence",
    "ConfigChanged",
    "Count",
    "Country",
    "Currency",
    "Data",
    "Decision",
    "Domain",
    "DomainEvent",
    "DomainInvalid",
    "Effect",
    "Entity",
    "ErrorOccurred",
    "EscalationRequested",
    "EventId",
    "Expectation",
    "ExpectationMissed",
    "History",
    "Id",
    "Ids",
    "ListedRow",
    "Listing",
    "ListingInvalid",
    "Measure",
    "MeasureInvalid",
    "Miss",
    "Money",
    "Name",
    "OpenEvent",
    "OutsidePolicy",
    "Past",
    "Quantity",
    "Refusal",
    "RootCauseIdentified",
    "RootCauseSuspected",
    "ServiceDeployed",
    "Statement",
    "Sureness",
    "Text",
    "Texts",
    "Violation",
    "WindowSpec",
    "downgraded",
    "not_permitted",
    "platform",
    "service",
    "told",
    "unknown_event",
]
