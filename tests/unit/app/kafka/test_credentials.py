"""Credentials: Faust's clients and our own are let in alike, by every protocol and mechanism."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from authority import Authority, Issued
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from app.composition import create_app
from app.kafka.credentials import CredentialsUnusable, client_options, faust_credentials
from app.kafka.tls import ClientTls
from app.kafka.tokens import TokenProvider
from app.settings import Settings

ROOT = Path(__file__).parents[4]

USER = {"kafka_security_username": "ada", "kafka_security_password": "secret"}
CLIENT = {
    "kafka_security_token_url": "https://identity.example/token",
    "kafka_security_client_id": "worker",
    "kafka_security_client_secret": "secret",
}
TLS_PROTOCOLS = ("SSL", "SASL_SSL")


def of(protocol: str, mechanism: str = "PLAIN", **given: Any) -> Settings:
    login = CLIENT if mechanism == "OAUTHBEARER" else USER
    return Settings(
        kafka_security_protocol=protocol, kafka_security_sasl_mechanism=mechanism, **{**login, **given}, _env_file=None
    )


def test_clients_of_a_plain_broker_need_nothing_else() -> None:
    settings = Settings(kafka_broker=("one:9092", "two:9092"), _env_file=None)
    assert client_options(settings) == {
        "bootstrap_servers": ["one:9092", "two:9092"],
        "security_protocol": "PLAINTEXT",
    }
    assert faust_credentials(settings) is None


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
@pytest.mark.parametrize("protocol", ["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_faust_and_the_other_clients_are_let_in_alike(protocol: str, mechanism: str) -> None:
    settings = of(protocol, mechanism)
    ours = {**client_options(settings)}
    del ours["bootstrap_servers"]
    fausts = {name: value for name, value in credentials_to_aiokafka_auth(faust_credentials(settings)).items() if value}

    assert isinstance(ours.pop("ssl_context", None), ssl.SSLContext) == (protocol in TLS_PROTOCOLS)
    assert isinstance(fausts.pop("ssl_context", None), ssl.SSLContext) == (protocol in TLS_PROTOCOLS)
    assert ours == fausts
    if protocol == "SSL":
        assert ours == {"security_protocol": "SSL"}
    elif mechanism == "OAUTHBEARER":
        assert isinstance(ours.pop("sasl_oauth_token_provider"), TokenProvider)
        assert ours == {"security_protocol": protocol, "sasl_mechanism": "OAUTHBEARER"}
    else:
        assert ours == {
            "security_protocol": protocol,
            "sasl_mechanism": mechanism,
            "sasl_plain_username": "ada",
            "sasl_plain_password": "secret",
        }


def test_all_clients_of_a_process_share_one_token() -> None:
    settings = of("SASL_SSL", "OAUTHBEARER")
    providers = {id(client_options(settings)["sasl_oauth_token_provider"]) for _ in range(3)}
    assert len(providers | {id(faust_credentials(settings).oauth_cb)}) == 1  # type: ignore[union-attr]


def test_the_name_of_the_broker_is_always_checked() -> None:
    context = client_options(of("SASL_SSL"))["ssl_context"]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_every_client_of_kafka_is_opened_with_these() -> None:
    """Clients are made of options that came from here, or the sandbox's own broker, which is open."""
    made = re.compile(r"AIOKafka(?:Consumer|Producer|AdminClient|Client)\(")
    toys = ("app/sandbox", "app/demo", "app/simulator", "app/scripted_model")
    rooms = [file for room in ("agents", "app", "outbox", "tables") for file in (ROOT / room).rglob("*.py")]
    found = {str(file.relative_to(ROOT)): file.read_text() for file in rooms}
    unsafe = {
        name: line
        for name, text in found.items()
        if not name.startswith(toys) and made.search(text)
        for line in text.splitlines()
        if "bootstrap_servers=" in line
    }
    assert unsafe == {}
    assert "kafka_security" not in "".join(
        text for name, text in found.items() if not name.startswith(("app/settings/", "app/kafka/credentials.py"))
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_a_certificate_is_shown_where_there_is_one(authority: Authority) -> None:
    worker = authority.issue("worker", password="sesame")
    settings = of(
        "SSL",
        kafka_security_cafile=authority.cafile,
        kafka_security_certfile=worker.certfile,
        kafka_security_keyfile=worker.keyfile,
        kafka_security_key_password="sesame",
    )
    found = faust_credentials(settings)
    assert isinstance(found, faust.SSLCredentials)
    with listening(authority, authority.issue("broker")) as shown:
        assert shown(client_options(settings)["ssl_context"]) == "worker"
        assert shown(found.context) == "worker"


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda own, other: (own.certfile, other.keyfile), "KEY_VALUES_MISMATCH"),
        (lambda own, other: (own.keyfile, other.keyfile), "PEM lib"),
        (lambda own, other: (own.certfile, other.certfile), ""),
    ],
)
def test_a_certificate_that_cannot_be_used_stops_the_start_with_one_line(
    authority: Authority, spoil: Callable[[Issued, Issued], tuple[Path, Path]], line: str
) -> None:
    certfile, keyfile = spoil(authority.issue("worker"), authority.issue("other"))
    settings = of("SSL", kafka_security_certfile=certfile, kafka_security_keyfile=keyfile)
    with pytest.raises(SystemExit) as stopped:
        create_app(settings)
    assert str(stopped.value).startswith("innervate: KAFKA_SECURITY_CERTFILE, KAFKA_SECURITY_KEYFILE: ")
    assert line in str(stopped.value)


@pytest.mark.parametrize("password", ["", "wrong sesame"])
def test_a_key_is_not_asked_for_on_the_terminal(authority: Authority, password: str) -> None:
    worker = authority.issue("worker", password="sesame")
    settings = of(
        "SSL",
        kafka_security_certfile=worker.certfile,
        kafka_security_keyfile=worker.keyfile,
        kafka_security_key_password=password,
    )
    with pytest.raises(CredentialsUnusable) as told:
        client_options(settings)
    assert "sesame" not in str(told.value)


def test_authorities_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(CredentialsUnusable, match="KAFKA_SECURITY_CAFILE: "):
        client_options(of("SASL_SSL", kafka_security_cafile=tmp_path / "ca.pem"))


def test_a_broker_with_another_name_is_refused(authority: Authority) -> None:
    context = ClientTls(cafile=authority.cafile)
    elsewhere = authority.issue("broker", host="kafka.example")
    with (
        listening(authority, elsewhere, asks=False) as shown,
        pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"),
    ):
        shown(context)


def test_a_certificate_that_is_renewed_is_shown_without_a_new_start(authority: Authority) -> None:
    worker, renewed = authority.issue("worker"), authority.issue("renewed")
    context = ClientTls(cafile=authority.cafile, certfile=worker.certfile, keyfile=worker.keyfile)
    with listening(authority, authority.issue("broker")) as shown:
        assert shown(context) == "worker"

        # Half of it is there: the one before still does.
        renewed.certfile.replace(worker.certfile)
        assert shown(context) == "worker"

        renewed.keyfile.replace(worker.keyfile)
        assert shown(context) == "renewed"


@contextmanager
def listening(authority: Authority, server: Issued, *, asks: bool = True) -> Iterator[Callable[[ssl.SSLContext], str]]:
    """A server on loopback; the callable connects to it and returns the common name the client has shown."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(server.certfile, server.keyfile)
    theirs.load_verify_locations(authority.cafile)
    theirs.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE

    async def connect(context: ssl.SSLContext) -> str:
        names: asyncio.Queue[str] = asyncio.Queue()

        async def meet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            shown = writer.get_extra_info("peercert")
            names.put_nowait(next(value for ((kind, value),) in shown["subject"] if kind == "commonName"))
            writer.close()

        listener = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=theirs)
        async with listener, asyncio.timeout(60):
            port = listener.sockets[0].getsockname()[1]
            _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            name = await names.get()
            writer.close()
            return name

    yield lambda context: asyncio.run(connect(context))
