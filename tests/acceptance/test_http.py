"""The web views of a worker: health, agents, windows, decisions, the outbox and dead letters, on loopback only."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from observe import get, rows, settled
from problems import problem
from shop import Payment, Record, send, series

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

NAMES = ["web-plain", "web/with/slashes", "web-käufer-日本", "web with spaces & 100%", "web?question#hash"]


@pytest.fixture(scope="module", autouse=True)
def history(sandbox: Sandbox, first_worker: WorkerProcess) -> None:
    """Five payments of one customer, one of some with unusual names, one dead letter."""
    first_worker.start()
    payments = series("web", 1, 5) + [Payment(f"web-name-{number}", name) for number, name in enumerate(NAMES)]
    records = [payment.structured() for payment in payments]
    asyncio.run(send(sandbox.kafka, [*records, Record(None, key=b"web-tombstone")]))
    settled(sandbox.database_url, [payment.event_id for payment in payments])


def test_a_living_worker_says_so(worker: WorkerProcess) -> None:
    assert get(worker.url, "/health/live") == (200, {"status": "live"})


CHECKS = (
    "database",
    "outbox",
    "assignment",
    "in_flight",
    "commits",
    "router",
    "transactions",
    "lag",
    "publishing",
    "background",
)


def test_a_ready_worker_names_its_checks(worker: WorkerProcess) -> None:
    assert get(worker.url, "/health/ready") == (
        200,
        {
            "status": "ready",
            "checks": dict.fromkeys(CHECKS, "ok"),
        },
    )


def test_the_agents_are_listed_with_what_they_listen_to(worker: WorkerProcess) -> None:
    status, body = get(worker.url, "/agents")

    assert (status, body["set"]) == (200, "all")
    [fraud] = [agent for agent in body["agents"] if agent["name"] == "fraud"]
    assert fraud.pop("in_flight") >= 0
    assert fraud == {
        "name": "fraud",
        "entity": "customer",
        "reacts_to": ["PaymentSucceeded"],
        "remembers": ["ChargebackReceived", "PaymentFailed", "PaymentSucceeded"],
        "window": {
            "events": 50,
            "age_seconds": 10368000.0,
            "slots": [{"types": ["PaymentFailed"], "events": 50}, {"types": ["ChargebackReceived"], "events": 20}],
        },
        "timeline": "timeline-customer",
        "changelog": "innervate-all-fraud-windows-changelog",
    }


def test_a_window_shows_what_is_remembered_oldest_first(worker: WorkerProcess) -> None:
    status, body = get(worker.url, "/agents/fraud/windows/web-customer-0")

    assert (status, body["agent"], body["entity"], body["entity_id"]) == (200, "fraud", "customer", "web-customer-0")
    offsets = [entry["offset"] for entry in body["events"]]
    assert offsets == sorted(offsets)
    assert {entry["event"]["id"] for entry in body["events"]} == {f"web-{number:04}" for number in range(5)}


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_an_entity_may_have_any_name(worker: WorkerProcess, number: int) -> None:
    status, body = get(worker.url, f"/agents/fraud/windows/{quote(NAMES[number], safe='')}")

    assert (status, body["entity_id"]) == (200, NAMES[number])
    assert [entry["event"]["id"] for entry in body["events"]] == [f"web-name-{number}"]


def test_the_window_of_an_unknown_entity_is_empty(worker: WorkerProcess) -> None:
    status, body = get(worker.url, "/agents/fraud/windows/web-never-seen")

    assert (status, body["events"]) == (200, [])


def test_the_window_of_an_unknown_agent_is_not_found(worker: WorkerProcess) -> None:
    assert get(worker.url, "/agents/nobody/windows/web-plain") == (
        404,
        problem(404, "no loaded domain has an agent nobody"),
    )


def test_decisions_are_filtered_by_entity_and_paged_newest_first(worker: WorkerProcess) -> None:
    path = "/decisions?agent=fraud&entity=customer&entity_id=web-customer-0"
    _, everything = get(worker.url, path)
    decisions = everything["decisions"]

    _, first = get(worker.url, f"{path}&limit=3")
    _, second = get(worker.url, f"{path}&limit=3&before={first['decisions'][-1]['id']}")

    assert {row["event_id"] for row in decisions} == {f"web-{number:04}" for number in range(5)}
    assert [row["decided_at"] for row in decisions] == sorted((row["decided_at"] for row in decisions), reverse=True)
    assert (first["decisions"], second["decisions"]) == (decisions[:3], decisions[3:])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("event_id=web-0002", 4),
        ("event_id=web-0002&outcome=approve&status=committed", 1),
        ("event_id=web-0002&outcome=block", 0),
        ("event_id=web-0002&agent=fraud", 1),
        ("event_id=web-0002&agent=nobody", 0),
        ("event_id=web-0002&status=held", 0),
        ("event_id=web-0002&entity=order", 2),
    ],
)
def test_every_filter_of_decisions_counts(worker: WorkerProcess, query: str, found: int) -> None:
    status, body = get(worker.url, f"/decisions?{query}")

    assert (status, len(body["decisions"])) == (200, found)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/decisions?limit=0", "limit: expected a number from 1 to 500"),
        ("/decisions?limit=501", "limit: expected a number from 1 to 500"),
        ("/decisions?limit=ten", "limit: expected a number from 1 to 500"),
        ("/decisions?limit=-1", "limit: expected a number from 1 to 500"),
        ("/dead-letters?limit=0", "limit: expected a number from 1 to 500"),
        ("/decisions?before=yesterday", "before: expected a UUID"),
        ("/decisions/42", "decision_id: expected a UUID"),
    ],
)
def test_a_wrong_parameter_is_named(worker: WorkerProcess, path: str, error: str) -> None:
    assert get(worker.url, path) == (400, problem(400, error))


@pytest.mark.parametrize("path", ["/decisions?event_id=%00", "/decisions?agent=%00", "/dead-letters?reason=%00"])
def test_a_filter_postgresql_cannot_hold_is_refused(worker: WorkerProcess, path: str) -> None:
    assert get(worker.url, path) == (
        400,
        problem(400, "control characters are not allowed in a path or a query"),
    )


def test_one_decision_shows_its_history_and_messages(sandbox: Sandbox, worker: WorkerProcess) -> None:
    _, listed = get(worker.url, "/decisions?event_id=web-0004&agent=fraud")
    [summary] = listed["decisions"]

    status, decision = get(worker.url, f"/decisions/{summary['id']}")

    assert status == 200
    assert summary.items() <= decision.items()
    assert (decision["topic"], len(decision["history"]["offsets"])) == ("timeline-customer", 4)
    assert [message["value"]["type"] for message in decision["messages"]] == ["FraudScored"]


def test_an_unknown_decision_is_not_found(worker: WorkerProcess) -> None:
    unknown = uuid.UUID(int=0)

    assert get(worker.url, f"/decisions/{unknown}") == (404, problem(404, f"no decision {unknown}"))


def test_the_outbox_is_empty_and_its_lanes_are_held(worker: WorkerProcess) -> None:
    status, body = get(worker.url, "/outbox")

    assert (status, body["pending"], body["oldest_seconds"], body["dead"]) == (200, 0, 0, 0)
    assert sorted(body["lanes"]) == list(range(64))


def test_dead_letters_are_listed_by_reason(sandbox: Sandbox, worker: WorkerProcess) -> None:
    status, body = get(worker.url, "/dead-letters?reason=tombstone&consumer=router")
    _, none = get(worker.url, "/dead-letters?reason=no-such-reason")

    [(letter_id,)] = rows(sandbox.database_url, "SELECT id::text FROM dead_letters WHERE key = %s", b"web-tombstone")
    [letter] = [letter for letter in body["dead_letters"] if letter["id"] == letter_id]
    assert (status, letter["topic"], letter["reason"], letter["value_bytes"]) == (200, "payments", "tombstone", None)
    assert none == {"dead_letters": [], "next": None}


@pytest.mark.parametrize(
    "path", ["/table", "/table/", "/table/fraud-windows/web-plain", "/router", "/router/fraud-windows/web-plain/"]
)
def test_fausts_own_views_of_the_tables_are_off(worker: WorkerProcess, path: str) -> None:
    status, _ = get(worker.url, path)

    assert status == 404


def test_only_the_loopback_interface_is_listened_on(worker: WorkerProcess) -> None:
    # 127.0.0.2 is this machine too: a server on every interface would answer there.
    with socket.socket() as elsewhere:
        assert elsewhere.connect_ex(("127.0.0.2", worker.port)) != 0


class OpenWorker(WorkerProcess):
    """Its settings say loopback, its command line does not."""

    def command(self) -> list[str]:
        return [*super().command(), "--web-bind", "0.0.0.0"]


@pytest.fixture(scope="module")
def open_worker(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker that Faust's command line opened to the network, with a token."""
    process = OpenWorker(sandbox, tmp_path_factory.mktemp("open") / "worker", {"API_TOKEN": "let-me-in"})
    try:
        process.start()
        yield process
    finally:
        process.release()


@pytest.mark.parametrize("path", ["/agents", "/decisions", "/outbox", "/not-there"])
def test_a_worker_that_the_command_line_opened_asks_for_the_token(open_worker: WorkerProcess, path: str) -> None:
    assert get(open_worker.url, path) == (401, problem(401, "Unauthorized"))


def test_its_health_is_open(open_worker: WorkerProcess) -> None:
    assert get(open_worker.url, "/health/live") == (200, {"status": "live"})
