"""Settings: read once from the environment and `.env`; a wrong value stops the start with one line.

Every setting has the name of its field in capitals. `docs/settings.md` describes each of them for an operator.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from agents.engine.routing import MAX_PAYLOAD_BYTES
from agents.engine.shadow import Shadow
from agents.engine.wanted import Wanted, problem_of
from agents.model.agent import Agent
from agents.model.catalogue import TIMELINE, TOPIC
from agents.model.text import escaped
from app.settings.access import AccessSettings
from app.settings.kafka import KafkaSettings
from app.settings.misspelt import former, misspelt, unknown
from app.settings.models import ModelSettings
from app.settings.objects import agent_object, catalogue_of
from app.settings.secrets import SecretFiles
from app.settings.values import Names, known_agents
from outbox.chains import MOST_DECISIONS, MOST_MESSAGES
from outbox.parameters import DEAD_LETTERS
from outbox.roles import Roles
from outbox.writer import EFFECTS_WAIT_SECONDS
from tables.window import MAX_EVENTS

#: Read beside the environment, which comes first.
ENV_FILE = ".env"

#: What PostgreSQL takes as a name without cutting it.
RoleName = Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_-]{0,62})?$")]


class Settings(KafkaSettings, AccessSettings, ModelSettings, SecretFiles):
    """What an operator can choose, with what is said about Kafka, HTTP, about language models and people, and secrets.

    Raises pydantic's `ValidationError`.
    """

    model_config = SettingsConfigDict(env_file=ENV_FILE, extra="ignore", frozen=True, hide_input_in_errors=True)

    #: libpq connection string of the decisions and the outbox. It may hold a password.
    database_url: str = Field("postgresql://127.0.0.1:5432/innervate", min_length=1, repr=False)
    #: Whether a worker applies missing migrations when it starts.
    migrate_at_start: bool = True
    #: Roles of PostgreSQL that are granted what a worker and a reader need, whenever the owner migrates.
    database_worker_role: RoleName = ""
    database_reader_role: RoleName = ""

    #: One Kafka transaction per batch of a lane: exactly once for `read_committed` readers, at the price of latency.
    outbox_fenced: bool = False

    #: Whether this worker routes events beside its agents (`inside`), does nothing else (`alone`), or leaves it to
    #: others (`none`).
    router: Literal["inside", "alone", "none"] = "inside"
    #: Agents this worker runs, separated by commas; all of them when empty.
    agents: Names = ()
    #: A version of an agent, `module:name`, that this worker runs beside the live one and without any consequence.
    shadow: str = ""
    #: Tells shadows of one agent apart.
    shadow_label: str = "shadow"
    #: Which build of the release this is, such as a commit; part of what is recorded of the code that decides.
    release_build: str = Field("", max_length=80, pattern=r"^[A-Za-z0-9._+-]*$")
    #: Topics the router reads; those that the domains declare when empty.
    event_topics: Names = Field((), validate_default=True)
    #: What is written to timelines beyond what agents want: `all`, names of entities, `entity:Type`.
    timelines: Names = ()
    #: Partitions of topics that are created: the most workers that can share an agent set.
    topic_partitions: int = Field(8, ge=1, le=1024)
    topic_replication_factor: int = Field(1, ge=1, le=15)
    #: Largest event, in bytes, value and headers together. The timelines and changelogs must be allowed to hold it.
    max_event_bytes: int = Field(512 * 1024, ge=1024, le=MAX_PAYLOAD_BYTES)

    #: Decisions in a row that may lead to a message, and messages that one correlation may have in answer to agents.
    chain_max_depth: int = Field(MOST_DECISIONS, ge=1, le=1000)
    chain_max_messages: int = Field(MOST_MESSAGES, ge=1, le=2**31 - 1)
    #: How long the effects of a decision wait, in seconds, for a table, a privilege, a lock or time before they are
    #: refused and a person hears.
    effects_wait_seconds: int = Field(EFFECTS_WAIT_SECONDS, ge=0, le=30 * 24 * 3600)

    #: Where the RocksDB tables live; `faust --datadir` comes first.
    datadir: Path = Path("var/data")
    #: Events a window holds, in place of what each agent asks for.
    window_events: int | None = Field(None, ge=1, le=MAX_EVENTS)

    #: How long after it happened, in days, an event may reach its timeline and still see exactly what it should.
    window_late_days: int = Field(7, ge=1, le=3650)
    #: How the log is written: for people, or a JSON object in each line.
    log_format: Literal["console", "json"] = "console"
    #: Whether the log may quote events, and values that PostgreSQL refuses; never secrets.
    log_payloads: bool = False

    #: How far behind, in seconds, a worker may be and still say that it is ready.
    ready_lag_seconds: int = Field(600, ge=1, le=30 * 24 * 3600)

    @field_validator("database_url")
    @classmethod
    def _connection_string(cls, url: str) -> str:
        try:
            ports = parse_dsn(url).get("port", "")
        except ProgrammingError:
            raise ValueError("expected a connection string of PostgreSQL") from None
        # A password with a `/` or `@` in it can become one, which libpq would quote when it connects.
        if not all(port.isdecimal() for port in ports.split(",") if port):
            raise ValueError("expected numbers for ports; what is no letter or digit in a password is written as %2F")
        return url

    @field_validator("database_worker_role", "database_reader_role")
    @classmethod
    def _not_of_postgresql(cls, role: str) -> str:
        if role == "public" or role.startswith("pg_"):
            raise ValueError(f"{role} is a role of PostgreSQL's own")
        return role

    @field_validator("database_reader_role")
    @classmethod
    def _apart(cls, role: str, info: ValidationInfo) -> str:
        if role and role == info.data.get("database_worker_role"):
            raise ValueError("DATABASE_WORKER_ROLE is the same: a reader would write")
        return role

    @field_validator("event_topics")
    @classmethod
    def _domain_topics(cls, topics: Sequence[str], info: ValidationInfo) -> Sequence[str]:
        for topic in topics:
            if not TOPIC.fullmatch(topic):
                raise ValueError(f"{topic!r} is no name of a topic")
            if topic == DEAD_LETTERS or topic.startswith(TIMELINE):
                raise ValueError(
                    f"{topic} is written by Innervate itself: what is read there would go round in circles"
                )
        if topics or "domains" not in info.data:
            return topics
        declared = catalogue_of(info.data["domains"]).topics
        if not declared:
            raise ValueError("expected at least one topic: the domains declare no event")
        return declared

    @field_validator("timelines")
    @classmethod
    def _of_the_entities(cls, asked: Sequence[str], info: ValidationInfo) -> Sequence[str]:
        catalogue = catalogue_of(info.data["domains"]) if "domains" in info.data else None
        problems = [problem_of(one, catalogue) for one in asked] if catalogue else []
        if problem := next(filter(None, problems), None):
            raise ValueError(problem)
        return asked

    @field_validator("agents")
    @classmethod
    def _known(cls, names: Sequence[str], info: ValidationInfo) -> Sequence[str]:
        if names and info.data.get("router") == "alone":
            raise ValueError("ROUTER=alone runs no agents: leave AGENTS empty there")
        return known_agents(names, info)

    @field_validator("shadow")
    @classmethod
    def _alone(cls, place: str, info: ValidationInfo) -> str:
        if place and "domains" in info.data:
            agent_object(place, catalogue_of(info.data["domains"]))
            if info.data.get("agents"):
                raise ValueError("a shadow has a worker of its own: leave AGENTS empty there")
            if info.data.get("router") == "alone":
                raise ValueError("a shadow does not route: leave ROUTER as it is there")
        return place

    @field_validator("shadow_label")
    @classmethod
    def _usable_label(cls, label: str) -> str:
        return Shadow(label).label

    @field_validator("outbox_fenced")
    @classmethod
    def _with_transactions(cls, fenced: bool, info: ValidationInfo) -> bool:
        if fenced and info.data.get("kafka_profile") == "tansu":
            raise ValueError("the embedded broker has no transactions that aiokafka can use; run an Apache Kafka")
        return fenced

    @model_validator(mode="after")
    def _shadow_sees_what_it_wants(self) -> Settings:
        for agent in self.running if self.shadow else ():
            if missing := Wanted(self.catalogue, self.timelines).missing(agent):
                types = ",".join(f"{agent.entity.name}:{name}" for name in missing)
                problem = f"SHADOW: no timeline has all that {agent.name} wants"
                raise ValueError(f"{problem}: set TIMELINES={types}, here and on every live worker")
        return self

    @property
    def database_roles(self) -> Roles:
        """Who is granted what they need when the owner migrates."""
        return Roles(worker=self.database_worker_role, reader=self.database_reader_role)

    @property
    def agent_set(self) -> str:
        """Names the consumer group and the tables: `all`, the agents' names joined by `-`, or that of a shadow.

        Workers that route and do nothing else have neither, and are called `routers`.
        """
        if self.router == "alone":
            return "routers"
        if self.shadow:
            return f"shadow-{agent_object(self.shadow, self.catalogue).name}-{self.shadow_label}"
        return "-".join(self.agents) or "all"

    @property
    def running(self) -> Sequence[Agent]:
        """The agents of this worker's set."""
        if self.router == "alone":
            return []
        if self.shadow:
            return [agent_object(self.shadow, self.catalogue)]
        agents = self.catalogue.agents
        return [agents[name] for name in self.agents or agents]

    @property
    def is_routing(self) -> bool:
        """Whether this worker writes events to the timelines of their entities."""
        return self.router != "none" and not self.shadow

    @property
    def shadowing(self) -> Shadow | None:
        """What the agent of this worker is a shadow as; None for a live worker."""
        return Shadow(self.shadow_label) if self.shadow else None


def load_settings(command_line: Sequence[str] = ()) -> Settings:
    """Read the settings; a wrong one ends the process with one line on stderr and exit code 2.

    So does a name that means a setting and is none. `command_line` is that of `faust`: it imports the app before it
    looks at its own `--datadir`, which would be lost.
    """
    refuse_misspelt()
    try:
        return Settings(**_from_command_line(command_line))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in problem["loc"][:1]).upper()
        message = problem["msg"].removeprefix("Value error, ")
        print(f"innervate: {name}: {message}" if name else f"innervate: {message}", file=sys.stderr)
        raise SystemExit(2) from None


def in_file() -> Mapping[str, str]:
    """What `.env` in the current folder says, by its names as they are written there."""
    return {name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None}


def refuse_misspelt() -> None:
    """Stop like `load_settings` when a name in the environment or `.env` means a setting and is none.

    Other unknown names in `.env`, and former ones, are told of on stderr.
    """
    ours = {name.upper() for name in Settings.model_fields}
    written = in_file()
    given = [*os.environ, *written]
    wrong = next(misspelt(given, ours), None)
    if wrong is not None:
        print(f"innervate: {escaped(wrong)}", file=sys.stderr)
        raise SystemExit(2)
    for line in (*former(given), *unknown(written, ours)):
        print(f"innervate: {escaped(line)}", file=sys.stderr)


def _from_command_line(arguments: Sequence[str]) -> Mapping[str, Any]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--datadir", "-D")
    known, _ = parser.parse_known_args(list(arguments))
    return {} if known.datadir is None else {"datadir": known.datadir}
