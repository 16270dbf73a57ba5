"""Settings of Kafka: where the brokers are, and how to be let in. Part of `app.settings.Settings`.

What clients are made of by them is in `app.kafka.credentials`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from app.settings.secrets import OptionalPath
from app.settings.values import Names
from app.web.addresses import is_loopback

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

#: A list of scopes (RFC 6749, 3.3).
_SCOPES: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")


class KafkaSettings(BaseSettings):
    """What an operator can choose about Kafka. Raises pydantic's `ValidationError`."""

    #: Brokers to ask first, `host:port`, separated by commas.
    kafka_broker: Names = ("127.0.0.1:9092",)
    #: `tansu` works around what the embedded broker of the sandbox does differently.
    kafka_profile: Literal["apache", "tansu"] = "apache"
    #: Who this worker is in its consumer groups over restarts; somebody new at each start when empty.
    kafka_group_instance_id: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,200}$")
    #: How long Kafka waits for a silent worker before its partitions go to others, in seconds. Faust's 60 is too long
    #: for somebody who waits; the heartbeats come from a thread of their own, so a busy worker is not taken for a dead
    #: one. Brokers refuse less than 6 (`group.min.session.timeout.ms`), Faust more than 90.
    kafka_session_timeout_seconds: float = Field(15.0, ge=6, le=90)

    #: File with the certificate authorities to trust; the system's when empty.
    kafka_security_cafile: OptionalPath = None
    #: Our own certificate, with what it was signed by, and its key; the key is in the same file when empty.
    kafka_security_certfile: OptionalPath = None
    kafka_security_keyfile: OptionalPath = None
    kafka_security_key_password: SecretStr = SecretStr("")

    kafka_security_username: str = ""
    kafka_security_password: SecretStr = SecretStr("")

    #: Where tokens come from, by client credentials (RFC 6749, 4.4).
    kafka_security_token_url: str = ""
    kafka_security_client_id: str = ""
    kafka_security_client_secret: SecretStr = SecretStr("")
    #: Separated by spaces.
    kafka_security_token_scope: str = ""
    #: As `kafka_security_cafile`, for the token endpoint.
    kafka_security_token_cafile: OptionalPath = None

    kafka_security_sasl_mechanism: Mechanism = "PLAIN"
    #: Judged with everything above.
    kafka_security_protocol: Protocol = "PLAINTEXT"

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

    @field_validator(
        "kafka_security_cafile", "kafka_security_certfile", "kafka_security_keyfile", "kafka_security_token_cafile"
    )
    @classmethod
    def _existing_file(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError("no such file")
        return path

    @field_validator("kafka_security_token_url")
    @classmethod
    def _that_keeps_secrets(cls, text: str) -> str:
        if not text:
            return text
        try:
            url = urlsplit(text)
            host, _ = url.hostname or "", url.port
        except ValueError:
            raise ValueError("expected https://host/path") from None
        if not host or "@" in url.netloc or "?" in text or "#" in text or not text.isprintable() or " " in text:
            raise ValueError("expected https://host/path, without a user, a query or a fragment")
        if url.scheme != "https" and not (url.scheme == "http" and (is_loopback(host) or host == "localhost")):
            raise ValueError("expected https://: the secret of the client is sent there")
        return text

    @field_validator("kafka_security_token_scope")
    @classmethod
    def _scopes(cls, text: str) -> str:
        if text and not _SCOPES.fullmatch(text):
            raise ValueError("expected scopes, separated by single spaces")
        return text

    @field_validator("kafka_security_protocol")
    @classmethod
    def _with_what_it_needs(cls, protocol: str, info: ValidationInfo) -> str:
        given = info.data
        if given.get("kafka_security_keyfile") and not given.get("kafka_security_certfile"):
            raise ValueError("KAFKA_SECURITY_KEYFILE does nothing without KAFKA_SECURITY_CERTFILE")
        if given.get("kafka_security_certfile") and "SSL" not in protocol.split("_"):
            raise ValueError("KAFKA_SECURITY_CERTFILE does nothing without SSL or SASL_SSL")
        if protocol.startswith("SASL"):
            by_token = given.get("kafka_security_sasl_mechanism") == "OAUTHBEARER"
            needed = ("token_url", "client_id", "client_secret") if by_token else ("username",)
            # What is wrong itself is not there, and told of already.
            empty = (name for name in needed if not _is_given(given.get(f"kafka_security_{name}", "wrong")))
            if missing := next(empty, None):
                raise ValueError(f"{'OAUTHBEARER' if by_token else 'SASL'} needs KAFKA_SECURITY_{missing.upper()}")
        return protocol

    def static_member(self) -> Mapping[str, Any]:
        """What makes a consumer of aiokafka a static member of its group (KIP-345); nothing for a worker without an id.

        Kafka keeps the partitions of one that has stopped until its session has timed out.
        """
        if not self.kafka_group_instance_id:
            return {}
        return {
            "group_instance_id": self.kafka_group_instance_id,
            "session_timeout_ms": round(self.kafka_session_timeout_seconds * 1000),
        }


def _is_given(value: str | SecretStr) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
