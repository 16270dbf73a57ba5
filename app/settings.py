"""Settings: read once from the environment and `.env`; a wrong value stops the start with one line.

Every setting has the name of its field in capitals. `docs/settings.md` describes each of them for an operator.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import faust
from aiokafka.helpers import create_ssl_context
from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agents.registry import AGENTS
from agents.routing import ENTITIES, timeline
from outbox.parameters import DEAD_LETTERS

#: The domain topics of the design.
DOMAIN_TOPICS = ("payments", "orders", "shipping", "support", "platform", "recovery", "ledger")

#: Topics that Innervate writes and must not read as domain topics.
RESERVED_TOPICS = frozenset({DEAD_LETTERS, *map(timeline, ENTITIES)})
#: What Kafka allows as the name of a topic.
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")

Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """What an operator can choose. Raises pydantic's `ValidationError`."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    #: Brokers to ask first, `host:port`, separated by commas.
    kafka_broker: Names = ("127.0.0.1:9092",)
    #: `tansu` works around what the embedded broker of the sandbox does differently.
    kafka_profile: Literal["apache", "tansu"] = "apache"
    kafka_security_username: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_security_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_security_password: SecretStr = SecretStr("")
    #: File with the certificate authorities to trust; the system's when empty.
    kafka_security_cafile: Path | None = None

    #: libpq connection string of the decisions and the outbox.
    database_url: str = Field("postgresql://127.0.0.1:5432/innervate", min_length=1)
    #: Whether a worker applies missing migrations when it starts.
    migrate_at_start: bool = True

    #: One Kafka transaction per batch of a lane: exactly once for `read_committed` readers, at the price of latency.
    outbox_fenced: bool = False

    #: Agents this worker runs, separated by commas; all of them when empty.
    agents: Names = ()
    #: Topics the router reads.
    event_topics: Names = DOMAIN_TOPICS
    #: Partitions of topics that are created: the most workers that can share an agent set.
    topic_partitions: int = Field(8, ge=1, le=1024)
    topic_replication_factor: int = Field(1, ge=1, le=15)
    #: Largest event, in bytes, value and headers together. The timelines and changelogs must be allowed to hold it.
    max_event_bytes: int = Field(512 * 1024, ge=1024, le=900 * 1024)

    #: Where the RocksDB tables live; `faust --datadir` comes first.
    datadir: Path = Path("var/data")
    #: Events a window holds, in place of what each agent asks for.
    window_events: int | None = Field(None, ge=1, le=10_000)

    web_bind: str = "127.0.0.1"
    web_port: int = Field(6066, ge=1, le=65535)
    #: Bearer token of the HTTP interface.
    api_token: SecretStr | None = None

    @field_validator("kafka_broker", "agents", "event_topics", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value

    @field_validator("kafka_broker")
    @classmethod
    def _host_and_port(cls, brokers: Sequence[str]) -> Sequence[str]:
        for broker in brokers:
            host, _, port = broker.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) <= 65535:
                raise ValueError("expected host:port, separated by commas")
        if not brokers:
            raise ValueError("expected at least one host:port")
        return brokers

    @field_validator("database_url")
    @classmethod
    def _connection_string(cls, url: str) -> str:
        try:
            parse_dsn(url)
        except ProgrammingError:
            raise ValueError("expected a connection string of PostgreSQL") from None
        return url

    @field_validator("event_topics")
    @classmethod
    def _domain_topics(cls, topics: Sequence[str]) -> Sequence[str]:
        for topic in topics:
            if not _TOPIC.fullmatch(topic):
                raise ValueError(f"{topic!r} is no name of a topic")
            if topic in RESERVED_TOPICS:
                raise ValueError(
                    f"{topic} is written by Innervate itself: what is read there would go round in circles"
                )
        if not topics:
            raise ValueError("expected at least one topic")
        return topics

    @field_validator("kafka_security_cafile")
    @classmethod
    def _existing_file(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError("no such file")
        return path

    @field_validator("kafka_security_protocol")
    @classmethod
    def _with_username(cls, protocol: str, info: ValidationInfo) -> str:
        if protocol.startswith("SASL") and not info.data.get("kafka_security_username"):
            raise ValueError("SASL needs KAFKA_SECURITY_USERNAME")
        return protocol

    @field_validator("api_token", mode="before")
    @classmethod
    def _no_token(cls, value: object) -> object:
        return value or None  # an empty one would lock everybody out

    @field_validator("agents")
    @classmethod
    def _known(cls, names: Sequence[str]) -> Sequence[str]:
        unknown = sorted(set(names) - set(AGENTS))
        if unknown:
            raise ValueError(f"no agent named {', '.join(unknown)}; there are {', '.join(AGENTS)}")
        return tuple(sorted(set(names)))

    @field_validator("outbox_fenced")
    @classmethod
    def _with_transactions(cls, fenced: bool, info: ValidationInfo) -> bool:
        if fenced and info.data.get("kafka_profile") == "tansu":
            raise ValueError("the embedded broker has no transactions that aiokafka can use; run an Apache Kafka")
        return fenced

    @model_validator(mode="after")
    def _token_off_loopback(self) -> Settings:
        if not self.web_on_loopback and self.api_token is None:
            raise ValueError("WEB_BIND is not loopback: set API_TOKEN, or the whole network can read the windows")
        return self

    @property
    def web_on_loopback(self) -> bool:
        """Whether only this machine can reach the HTTP interface."""
        try:
            return ipaddress.ip_address(self.web_bind).is_loopback
        except ValueError:
            return self.web_bind == "localhost"

    @property
    def agent_set(self) -> str:
        """Names the consumer group and the tables: `all`, or the agents' names joined by `-`."""
        return "-".join(self.agents) or "all"

    def client_options(self) -> Mapping[str, Any]:
        """What every aiokafka client needs to reach the brokers."""
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.kafka_broker),
            "security_protocol": self.kafka_security_protocol,
        }
        if "SSL" in self.kafka_security_protocol.split("_"):
            options["ssl_context"] = self._ssl_context()
        if self.kafka_security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.kafka_security_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_security_username
            options["sasl_plain_password"] = self.kafka_security_password.get_secret_value()
        return options

    def faust_credentials(self) -> faust.auth.Credentials | None:
        """The same for Faust; None for a plain connection."""
        if self.kafka_security_protocol == "PLAINTEXT":
            return None
        if self.kafka_security_protocol == "SSL":
            return faust.SSLCredentials(context=self._ssl_context())
        return faust.SASLCredentials(
            username=self.kafka_security_username,
            password=self.kafka_security_password.get_secret_value(),
            mechanism=self.kafka_security_sasl_mechanism,
            ssl_context=self._ssl_context() if self.kafka_security_protocol == "SASL_SSL" else None,
        )

    def _ssl_context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = create_ssl_context(
            cafile=str(self.kafka_security_cafile) if self.kafka_security_cafile else None
        )
        return context


def load_settings(command_line: Sequence[str] = ()) -> Settings:
    """Read the settings; a wrong one ends the process with one line on stderr and exit code 2.

    `command_line` is that of `faust`: it imports the app before it looks at its own `--datadir`, which would be lost.
    """
    try:
        return Settings(**_from_command_line(command_line))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in problem["loc"][:1]).upper()
        message = problem["msg"].removeprefix("Value error, ")
        print(f"innervate: {name}: {message}" if name else f"innervate: {message}", file=sys.stderr)
        raise SystemExit(2) from None


def _from_command_line(arguments: Sequence[str]) -> Mapping[str, Any]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--datadir", "-D")
    known, _ = parser.parse_known_args(list(arguments))
    return {} if known.datadir is None else {"datadir": known.datadir}
