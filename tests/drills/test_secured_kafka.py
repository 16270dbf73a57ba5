"""A worker on a secured Kafka: logged in each way, with exactly the rights `innervate acls` prints, it does everything.

The authorizer denies what no rule allows; the super user is somebody else.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from arena import Arena, CrashWorker
from authority import Authority
from drill import Drill
from proxy import Proxy
from secured import (
    CERTIFIED_USER,
    PASSWORD,
    TOKEN_SECONDS,
    TOPICS,
    USER,
    Identities,
    Right,
    SecuredBroker,
    allow,
    forbid,
)
from waiting import PATIENCE_SECONDS, eventually

from app.kafka.topics import ensure_topics
from app.sandbox import Sandbox
from app.sandbox.process import LOOPBACK
from app.settings import Settings


class Secured:
    """A secured Kafka, who may log in there, and a drill on it."""

    def __init__(self, drill: Drill, broker: SecuredBroker, authority: Authority, identities: Identities) -> None:
        self.drill = drill
        self.broker = broker
        self.authority = authority
        self.identities = identities

    def login(self, way: str) -> Mapping[str, str]:
        """Settings of a worker that logs in this way."""
        trust = {"KAFKA_SECURITY_CAFILE": str(self.authority.cafile)}
        if way == "certificate":
            issued = self.authority.issue(USER)
            return {
                **trust,
                "KAFKA_BROKER": f"{LOOPBACK}:{self.broker.certified_port}",
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                "KAFKA_SECURITY_CERTFILE": str(issued.certfile),
                "KAFKA_SECURITY_KEYFILE": str(issued.keyfile),
            }
        logged_in = {
            **trust,
            "KAFKA_BROKER": f"{LOOPBACK}:{self.broker.login_port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SECURITY_SASL_MECHANISM": way,
        }
        if way == "OAUTHBEARER":
            return {
                **logged_in,
                "KAFKA_SECURITY_TOKEN_URL": self.identities.url,
                "KAFKA_SECURITY_CLIENT_ID": USER,
                "KAFKA_SECURITY_CLIENT_SECRET": PASSWORD,
            }
        secret = self.drill.directory / "password"
        secret.write_text(PASSWORD + "\n")
        return {**logged_in, "KAFKA_SECURITY_USERNAME": USER, "KAFKA_SECURITY_PASSWORD_FILE": str(secret)}

    def worker(self, way: str, *, fenced: bool) -> tuple[int, Sequence[Right]]:
        """A worker that is not started, and the rights it has; the topics are there."""
        settings = {**self.login(way), "OUTBOX_FENCED": str(fenced).lower()}
        number = self.drill.seat(settings)
        process = self.drill.process(number)
        self.create_topics(process)
        rights = printed(process, "worker")
        allow(self.drill.kafka, CERTIFIED_USER if way == "certificate" else USER, rights)
        return number, rights

    def create_topics(self, process: CrashWorker) -> None:
        """As somebody else, who may do nothing but that."""
        rights = printed(process, "topics")
        allow(self.drill.kafka, TOPICS, rights)
        settings = Settings(
            _env_file=None,
            kafka_broker=(f"{LOOPBACK}:{self.broker.login_port}",),
            kafka_security_protocol="SASL_SSL",
            kafka_security_sasl_mechanism="PLAIN",
            kafka_security_username=TOPICS,
            kafka_security_password=PASSWORD,
            kafka_security_cafile=self.authority.cafile,
        )
        changelogs = [right["name"] for right in rights if right["name"].endswith("-changelog")]
        asyncio.run(ensure_topics(settings, changelogs))


def printed(process: CrashWorker, task: str) -> Sequence[Right]:
    """What `innervate acls` says for the settings of this worker."""
    process.directory.mkdir(parents=True, exist_ok=True)
    done = process.run_command("--json", "acls", task)
    assert done.returncode == 0, done.stderr
    rights: Sequence[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rights


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    authority, identities = Authority(tmp_path / "authority"), Identities(tmp_path / "identities")
    with ExitStack() as stack:
        stack.callback(identities.close)
        sandbox = Sandbox(tmp_path / "sandbox", "apache")
        sandbox.broker = broker = SecuredBroker(sandbox.broker.directory, authority, identities.jwks)
        stack.enter_context(sandbox)
        proxy = stack.enter_context(Proxy(sandbox.postgres.port))
        arena = Arena(sandbox, proxy, [])
        stack.callback(arena.release)
        yield Secured(Drill(arena, tmp_path), broker, authority, identities)


@pytest.mark.parametrize(("way", "fenced"), [("SCRAM-SHA-512", False), ("certificate", True)])
def test_with_exactly_its_rights_a_worker_does_the_whole_job(secured: Secured, way: str, fenced: bool) -> None:
    drill = secured.drill
    number, _ = secured.worker(way, fenced=fenced)
    drill.start(number)
    with drill.load(f"secured-{way}") as load:
        drill.go_on(load)
        drill.kill(number)
        drill.start(number)
        drill.go_on(load)
        # As with each release: the changelogs, which have something in them now, are looked at.
        secured.create_topics(drill.process(number))
    drill.assert_promises_kept()


def test_tokens_that_end_while_it_works_are_renewed(secured: Secured) -> None:
    drill = secured.drill
    number, _ = secured.worker("OAUTHBEARER", fenced=False)
    drill.start(number)
    with drill.load("secured-token") as load:
        drill.go_on(load)
        before = secured.identities.given
        drill.wait_for(lambda: secured.identities.given >= before + 3, what="three more tokens")
        secured.identities.is_away = True
        drill.go_on(load, decisions=10)
        secured.identities.is_away = False
        drill.go_on(load)
    assert secured.identities.given < 100 * TOKEN_SECONDS, "one token serves all clients"
    drill.assert_promises_kept()


def refused(secured: Secured, settings: Mapping[str, str]) -> str:
    """What a worker with these settings says at its end."""
    process = secured.drill.process(secured.drill.seat(settings))
    process.launch()
    eventually(lambda: process.exit_code is not None, what="a worker to give up")
    lines = process.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    [line] = [line for line in lines if line.startswith("innervate:")]
    return line


def test_who_is_not_let_in_is_told_why(secured: Secured) -> None:
    login = {**secured.login("SCRAM-SHA-512")}
    at = login["KAFKA_BROKER"]
    token = {**secured.login("OAUTHBEARER")}

    guessed = {**login, "KAFKA_SECURITY_PASSWORD_FILE": "", "KAFKA_SECURITY_PASSWORD": "guessed"}
    assert "Kafka does not know the user or the password" in refused(secured, guessed)
    assert "CERTIFICATE_VERIFY_FAILED" in refused(secured, {**login, "KAFKA_SECURITY_CAFILE": ""})
    assert "401 invalid_client" in refused(secured, {**token, "KAFKA_SECURITY_CLIENT_SECRET": "guessed"})
    assert at in refused(secured, {**guessed, "KAFKA_SECURITY_SASL_MECHANISM": "PLAIN"})
    assert not [log for log in secured.drill.directory.rglob("*.log") if PASSWORD in log.read_text(errors="replace")]


def test_without_the_right_to_a_group_a_worker_says_to_which(secured: Secured) -> None:
    _, rights = secured.worker("SCRAM-SHA-512", fenced=False)
    for group in ("innervate-all", "innervate-router"):
        [missing] = [right for right in rights if right["name"] == group]
        to_look = {**missing, "operations": ["DESCRIBE"]}
        forbid(secured.drill.kafka, USER, [missing])
        told = [refused(secured, secured.login("SCRAM-SHA-512"))]
        allow(secured.drill.kafka, USER, [to_look])
        told.append(refused(secured, secured.login("SCRAM-SHA-512")))
        assert told == [f"innervate: group {group}: the right to read in it is missing"] * 2
        forbid(secured.drill.kafka, USER, [to_look])
        allow(secured.drill.kafka, USER, [missing])


def test_without_the_right_to_its_transactions_a_worker_says_so_and_publishes_once_it_has_it(secured: Secured) -> None:
    drill = secured.drill
    number, rights = secured.worker("SCRAM-SHA-512", fenced=True)
    missing = [right for right in rights if right["resource"] == "transactional_id"]
    forbid(drill.kafka, USER, missing)
    drill.start(number)
    with drill.load("secured-transactions", per_second=5.0) as load:
        named = "TransactionalIdAuthorizationFailed: the right to WRITE with the transactional id is missing"
        drill.wait_for(lambda: named in publishing(drill.process(number).url), what="readiness to name the right")
        allow(drill.kafka, USER, missing)
        drill.go_on(load, decisions=20)
    drill.assert_promises_kept()


def publishing(url: str) -> str:
    """What readiness says of what is published."""
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=PATIENCE_SECONDS) as response:
            ready = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            ready = json.load(error)
    return str(ready["checks"]["publishing"])


def test_without_the_right_to_one_topic_a_worker_says_which(secured: Secured) -> None:
    _, rights = secured.worker("SCRAM-SHA-512", fenced=False)
    for topic in ("timeline-customer", "payments", "innervate-all-fraud-windows-changelog"):
        missing = [right for right in rights if right["name"] == topic]
        forbid(secured.drill.kafka, USER, missing)
        line = refused(secured, secured.login("SCRAM-SHA-512"))
        assert line == f"innervate: topic {topic}: it or the right to it is missing, and so is the right to create it"
        allow(secured.drill.kafka, USER, missing)
