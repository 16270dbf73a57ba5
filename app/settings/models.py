"""Settings of language models, and of the decisions that wait for a person. Part of `app.settings.Settings`.

Without `LLM_URL` every agent decides by its rules, and nothing else here matters but what is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator

from agents.brains.redaction import REDACTED_FIELDS
from agents.brains.server import REPLY_TOKENS, Server
from agents.model.holding import HoldPolicy
from app.settings.domains import DomainSettings
from app.settings.misspelt import FORMER
from app.settings.values import ByAgent, ByNamedAgent, Names, SeveralByAgent, of

#: Who decides for an agent. `second_opinion`: the rules do, a model is asked too, and where it would decide otherwise
#: a person has to agree.
BrainName = Literal["rules", "model", "second_opinion"]

#: Tokens an agent may use on a day unless it is said. Own choice: some thousand short decisions.
DAILY_TOKENS: Final = 1_000_000
#: Longest deadline: reserved tokens are held for ten minutes, and no call may take longer than its reservation.
_LONGEST_SECONDS: Final = 300
#: Any correct URL and name, to judge the rest of a server by.
_ANY_URL: Final = "http://127.0.0.1/v1"

Tokens = Annotated[int, Field(ge=0, le=10**15)]
Minor = Annotated[int, Field(ge=0)]
Confidence = Annotated[float, Field(ge=0, le=1)]


class ModelSettings(DomainSettings):
    """What an operator can choose about brains and people. Raises pydantic's `ValidationError`."""

    #: The OpenAI-compatible API to ask, up to and with the version; everything runs on rules when empty.
    llm_url: str = ""
    llm_api_key: SecretStr | None = None
    #: The model all agents ask that have none of their own.
    llm_model: str = Field("", validate_default=True)
    llm_models: ByNamedAgent[str] = Field(default_factory=dict)
    #: Who decides, by agent; for those that are not named a model when there is one.
    brains: ByNamedAgent[BrainName] = Field(default_factory=dict)

    #: Tokens per day (UTC), over all workers.
    llm_daily_tokens: ByAgent[Tokens] = Field(default_factory=dict)
    #: One attempt.
    llm_timeout_seconds: float = Field(10.0, gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False)
    #: A decision in all, with every attempt and wait.
    llm_deadline_seconds: float = Field(20.0, gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False, validate_default=True)
    #: Longest reply; a model that thinks first needs more.
    llm_reply_tokens: int = Field(REPLY_TOKENS, ge=16, le=131_072)
    #: Requests of this worker at a time.
    llm_concurrency: int = Field(64, ge=1, le=1024)
    #: Events that may wait for a place; the rules decide on more at once.
    llm_queue: int = Field(64, ge=0, le=100_000)
    #: Fields for whose values a model is told pseudonyms.
    llm_redact: Names = REDACTED_FIELDS

    #: Decisions whose effects move more than this sum wait for a person.
    hold_moves_over_minor: ByAgent[Minor] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("hold_moves_over_minor", FORMER["HOLD_MOVES_OVER_MINOR"].lower()),
    )
    #: Decisions that do something and are less sure than this wait for a person.
    hold_confidence_under: ByAgent[Confidence] = Field(default_factory=dict)
    #: Decisions with these outcomes wait for a person.
    hold_outcomes: SeveralByAgent[str] = Field(default_factory=dict)
    #: How long they wait.
    hold_hours: float = Field(24.0, gt=0, le=24 * 365, allow_inf_nan=False)

    @field_validator("llm_url")
    @classmethod
    def _usable_url(cls, url: str) -> str:
        if url:
            Server(url=url, model="any")
        return url

    @field_validator("llm_api_key")
    @classmethod
    def _usable_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None or not key.get_secret_value():
            return None
        Server(url=_ANY_URL, model="any", api_key=key)
        return key

    @field_validator("llm_model")
    @classmethod
    def _named(cls, model: str, info: ValidationInfo) -> str:
        if info.data.get("llm_url") and not model:
            raise ValueError("LLM_URL needs the name of a model")
        return model

    @field_validator("brains")
    @classmethod
    def _with_url(cls, brains: Mapping[str, BrainName], info: ValidationInfo) -> Mapping[str, BrainName]:
        asking = sorted(agent for agent, brain in brains.items() if brain != "rules")
        if asking and not info.data.get("llm_url"):
            raise ValueError(f"a model for {', '.join(asking)} needs LLM_URL")
        return brains

    @field_validator("llm_deadline_seconds")
    @classmethod
    def _at_least_one_attempt(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds < info.data.get("llm_timeout_seconds", 0):
            raise ValueError("must not be less than LLM_TIMEOUT_SECONDS")
        return seconds

    def brain_of(self, agent: str) -> BrainName:
        """Who decides for the agent."""
        return self.brains.get(agent, "model" if self.llm_url else "rules")

    def model_of(self, agent: str) -> str:
        """The name of the model the agent asks; empty when none is set."""
        return self.llm_models.get(agent, self.llm_model)

    def daily_tokens(self) -> Mapping[str, int]:
        """What each agent there is may use on a day."""
        return {agent: of(self.llm_daily_tokens, agent, DAILY_TOKENS) for agent in self.catalogue.agents}

    def hold_policy_of(self, agent: str) -> HoldPolicy:
        """Which decisions of the agent wait for a person."""
        return HoldPolicy(
            moves_over_minor=of(self.hold_moves_over_minor, agent, None),
            confidence_under=of(self.hold_confidence_under, agent, None),
            outcomes=self.hold_outcomes.get(agent, frozenset()),
        )

    @property
    def hold_for(self) -> timedelta:
        """How long a decision waits for a person."""
        return timedelta(hours=self.hold_hours)
