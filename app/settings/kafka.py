"""Settings of Kafka: where the brokers are, and how to be let in. Part of `app.settings.Settings`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import faust
from aiokafka.helpers import create_ssl_context
from pydantic import SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from app.settings.values import Names


class KafkaSettings(BaseSettings):
    """What an operator can choose about Kafka. Raises pydantic's `ValidationError`."""

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
