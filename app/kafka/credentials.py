"""Credentials: what every client of Kafka is made with to be let in, Faust's and our own alike.

Nothing else in Innervate builds them: a client that is opened without `client_options` or `faust_credentials` reaches
no secured broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import faust
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from app.kafka.tls import ClientTls, said
from app.settings.kafka import KafkaSettings
from outbox.outcomes import outcome_of
from tables.errors import Fatal

if TYPE_CHECKING:
    from app.kafka.tokens import TokenProvider

#: How long one broker may take to say what is wrong, in milliseconds.
_ASKING_MS: Final = 10_000


class CredentialsUnusable(Fatal):
    """A certificate, its key or an authority cannot be used; the message names the settings."""


def client_options(settings: KafkaSettings) -> Mapping[str, Any]:
    """What every aiokafka client needs to reach the brokers. Raises `CredentialsUnusable`."""
    return {"bootstrap_servers": list(settings.kafka_broker), **_security(settings)}


def faust_credentials(settings: KafkaSettings) -> faust.auth.Credentials | None:
    """The same for Faust; None for a plain connection. Raises `CredentialsUnusable`."""
    options = _security(settings)
    context = options.get("ssl_context")
    if "sasl_oauth_token_provider" in options:
        return faust.auth.OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context=context)


async def why_unreachable(settings: KafkaSettings) -> str:
    """Why the brokers do not let us in; empty where one of them does. aiokafka only says that none did."""
    why = ""
    for broker in settings.kafka_broker:
        host, _, port = broker.rpartition(":")
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=_ASKING_MS, **_security(settings))
        except TimeoutError:
            why = why or f"{broker} does not answer"
        except (KafkaError, OSError) as error:
            told = str(outcome_of(error)) if isinstance(error, KafkaError) else said(error)
            why = why or f"{broker}: {told}"
        else:
            connection.close()
            return ""
    return why


def _security(settings: KafkaSettings) -> Mapping[str, Any]:
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {"security_protocol": protocol}
    if "SSL" in protocol.split("_"):
        options["ssl_context"] = _tls(settings)
    if protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_security_sasl_mechanism
        if settings.kafka_security_sasl_mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = _token_provider(
                settings.kafka_security_token_url,
                settings.kafka_security_client_id,
                settings.kafka_security_client_secret,
                settings.kafka_security_token_scope,
                settings.kafka_security_token_cafile,
            )
        else:
            options["sasl_plain_username"] = settings.kafka_security_username
            options["sasl_plain_password"] = settings.kafka_security_password.get_secret_value()
    return options


def _tls(settings: KafkaSettings) -> ClientTls:
    try:
        return ClientTls(
            cafile=settings.kafka_security_cafile,
            certfile=settings.kafka_security_certfile,
            keyfile=settings.kafka_security_keyfile,
            password=settings.kafka_security_key_password.get_secret_value(),
        )
    except (OSError, ValueError) as error:
        names = [
            name.upper()
            for name in ("kafka_security_cafile", "kafka_security_certfile", "kafka_security_keyfile")
            if getattr(settings, name) is not None
        ]
        why = said(error) if isinstance(error, OSError) else "cannot be used"
        raise CredentialsUnusable(f"{', '.join(names) or 'the authorities of this system'}: {why}") from None


@lru_cache(maxsize=4)
def _token_provider(url: str, client_id: str, secret: SecretStr, scope: str, cafile: Path | None) -> TokenProvider:
    """One for all clients of the process: they share its token."""
    from app.kafka.tokens import ClientCredentials, TokenProvider  # noqa: PLC0415 - brings httpx along

    return TokenProvider(
        ClientCredentials(url=url, client_id=client_id, client_secret=secret, scope=scope, cafile=cafile)
    )
