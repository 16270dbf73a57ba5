"""A secured Apache Kafka: who logs in may what a rule says, and nobody else anything.

Beside the listener of the sandbox, which the tests use and which may everything, it has one where users log in by
password or token over TLS, and one where they show a certificate.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from authority import Authority
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from app.sandbox import ApacheBroker
from app.sandbox.process import LOOPBACK, free_port

PASSWORD: Final = "sesame-5e5a3e"
USER: Final = "worker"
#: Who creates the topics that the worker finds.
TOPICS: Final = "topics"
#: As Kafka names who shows a certificate.
CERTIFIED_USER: Final = f"CN={USER}"
#: Who signs the tokens.
ISSUER: Final = "https://identities.example"
#: How long a token is good for, in seconds: many times shorter than a drill.
TOKEN_SECONDS: Final = 8

# The numbers of the protocol: org.apache.kafka.common.resource and .acl.
_RESOURCES: Final = {"topic": 2, "group": 3, "cluster": 4, "transactional_id": 5}
_OPERATIONS: Final = {"READ": 3, "WRITE": 4, "CREATE": 5, "DELETE": 6, "DESCRIBE": 8}
_PATTERNS: Final = {"literal": 3, "prefixed": 4}
_ALLOW: Final = 3

Right = Mapping[str, Any]


class SecuredBroker(ApacheBroker):
    """Apache Kafka with the StandardAuthorizer, which denies what no rule allows."""

    def __init__(self, directory: Path, authority: Authority, jwks: Path) -> None:
        server = authority.issue("broker")
        both = server.certfile.with_suffix(".pem")
        both.write_bytes(server.keyfile.read_bytes() + server.certfile.read_bytes())
        self._both, self._authority, self._jwks = both, authority, jwks
        super().__init__(directory, users={USER: PASSWORD})

    def take_ports(self) -> None:
        """Two more, for those who log in."""
        super().take_ports()
        self.login_port, self.certified_port = free_port(), free_port()

    def prepare(self) -> None:
        """The same with who may log in how."""
        listeners = {"PLAINTEXT": self.port, "LOGIN": self.login_port, "CERTIFIED": self.certified_port}
        places = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items())
        login = "listener.name.login"
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        bearer = "org.apache.kafka.common.security.oauthbearer"
        self._properties = {
            "listeners": f"{places},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": places,
            "listener.security.protocol.map": ("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL,CERTIFIED:SSL"),
            "inter.broker.listener.name": "PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            # Whoever comes by the listeners of the sandbox: the test, and the broker to itself.
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._authority.cafile),
            "listener.name.certified.ssl.client.auth": "required",
            f"{login}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{login}.plain.sasl.jaas.config": f'{plain} required user_{USER}="{PASSWORD}" user_{TOPICS}="{PASSWORD}";',
            f"{login}.scram-sha-256.sasl.jaas.config": f"{scram} required;",
            f"{login}.scram-sha-512.sasl.jaas.config": f"{scram} required;",
            f"{login}.oauthbearer.sasl.jaas.config": f"{bearer}.OAuthBearerLoginModule required;",
            f"{login}.oauthbearer.sasl.server.callback.handler.class": f"{bearer}.OAuthBearerValidatorCallbackHandler",
            f"{login}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": self._jwks.as_uri(),
            f"{login}.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
            f"{login}.oauthbearer.sasl.oauthbearer.expected.issuer": ISSUER,
            # A connection ends with its token.
            f"{login}.oauthbearer.connections.max.reauth.ms": "3600000",
        }
        super().prepare()

    def environment(self) -> Mapping[str, str]:
        """Where Kafka may read the keys of the identity provider."""
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self._jwks.as_uri()}"
        return {**super().environment(), "JAVA_TOOL_OPTIONS": allowed}


class Identities:
    """An identity provider on loopback: gives whoever knows the secret a signed token of a few seconds."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        public = {"n": _number(numbers.n), "e": _number(numbers.e)}
        known = {"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", **public}
        self.jwks = directory / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [known]}))
        self.given = 0
        #: Whether it answers with 503.
        self.is_away = False
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            """Answers POST alone."""

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                if outer.is_away:
                    status, body = 503, {"error": "temporarily_unavailable"}
                elif self.headers["authorization"] != expected:
                    status, body = 401, {"error": "invalid_client"}
                else:
                    status, body = 200, outer.grant()
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_port}/token"

    def grant(self) -> dict[str, Any]:
        self.given += 1
        now = int(time.time())
        head = {"alg": "RS256", "typ": "JWT", "kid": "one"}
        claims = {"sub": USER, "aud": "kafka", "iss": ISSUER, "iat": now, "exp": now + TOKEN_SECONDS}
        signed = ".".join(_coded(json.dumps(part).encode()) for part in (head, claims))
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {"access_token": f"{signed}.{_coded(signature)}", "token_type": "Bearer", "expires_in": TOKEN_SECONDS}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _coded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def allow(address: str, user: str, rights: Iterable[Right]) -> None:
    """Add a rule for each operation."""
    asyncio.run(_send(address, CreateAclsRequest, user, rights))


def forbid(address: str, user: str, rights: Iterable[Right]) -> None:
    """Take the same rules away again."""
    asyncio.run(_send(address, DeleteAclsRequest, user, rights))


async def _send(
    address: str, request: type[CreateAclsRequest | DeleteAclsRequest], user: str, rights: Iterable[Right]
) -> None:
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        for right in rights:
            for operation in right["operations"]:
                response = await client.send(
                    client.get_random_node(),
                    request(
                        *[_RESOURCES[right["resource"]], right["name"], _PATTERNS[right["pattern"]]],
                        *[f"User:{user}", "*", _OPERATIONS[operation], _ALLOW],
                    ),
                )
                told = response.to_object()
                [result] = told["creation_responses" if request is CreateAclsRequest else "filter_responses"]
                assert result["error_code"] == 0, result
    finally:
        await client.close()
