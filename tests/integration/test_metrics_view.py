"""Metrics of a worker on a real database, without Kafka: everything in the catalogue, whoever is away."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from decisions import decision
from prometheus_client.parser import text_string_to_metric_families
from refunding import refund

from app.composition import create_app
from app.reads import metrics as cluster
from app.sandbox import Postgres
from app.settings import Settings
from app.telemetry.metrics.catalogue import CATALOGUE, HELD_EXPIRES_IN, LIBRARY
from app.worker.application import Innervate
from outbox.expectations import Settled, State
from outbox.operator_actions import Operator
from outbox.records import Expected, Hold

Query = Callable[..., list[tuple[Any, ...]]]
Client = TestClient[Any, Any]
#: By name, then by the values of the labels in the order of the labels' names.
Told = Mapping[str, Mapping[tuple[str, ...], float]]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(_env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Innervate]:
    """A worker that is not started: it has its database and nothing else."""
    made = create_app(settings)
    yield made
    await made.runtime.writer.stop()
    await made.runtime.database.close()


@pytest.fixture
async def client(app: Innervate, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """Scrapes it; each scrape asks PostgreSQL anew."""
    monkeypatch.setattr(cluster, "KEPT_SECONDS", 0.0)
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running


async def scrape(client: Client) -> Told:
    async with client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert response.headers["Cache-Control"] == "no-store"
        text = await response.text()
    told: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            words = tuple(value for _, value in sorted(sample.labels.items()))
            told.setdefault(sample.name, {})[words] = sample.value
    return told


async def test_everything_in_the_catalogue_is_told_and_nothing_else(client: Client) -> None:
    async with client.get("/metrics") as response:
        lines = (await response.text()).splitlines()

    typed = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    declared = {metric.name: metric.kind for metrics in CATALOGUE.values() for metric in metrics}
    # Of held decisions that expire there is nothing to tell where none waits.
    del declared[HELD_EXPIRES_IN.name]
    ours = {name: kind for name, kind in typed.items() if name.startswith("innervate_")}
    assert {name: kind for name, kind in ours.items() if not name.startswith("innervate_shop_")} == declared
    assert set(typed) - set(ours) == set(LIBRARY)


async def test_windows_that_were_removed_are_counted_by_agent(app: Innervate, client: Client) -> None:
    app.runtime.sweep.removed["fraud"] += 3
    removed = (await scrape(client))["innervate_windows_removed_total"]
    assert removed[("fraud",)] == 3
    assert removed[("recovery",)] == 0


async def test_what_waits_in_postgresql_is_told_with_its_age(client: Client, query: Query) -> None:
    query("INSERT INTO outbox_messages (lane, message_id, topic, key, headers) VALUES (7, 'm-1', 'payments', '', '[]')")
    query(
        "INSERT INTO outbox_dead (seq, lane, message_id, topic, key, headers, committed_at, reason, died_at) VALUES "
        "(1, 7, 'm-0', 'payments', '', '[]', now(), 'too large', now() - interval '100 s')"
    )
    query(
        'INSERT INTO dead_letters (id, consumer, reason, detail, topic, partition, "offset", recorded_at, headers) '
        "SELECT gen_random_uuid(), 'router', 'invalid_json', '', 'payments', 0, n, now(), '[]' "
        "FROM generate_series(1, 3) AS n"
    )

    told = await scrape(client)

    assert told["innervate_database_up"] == {(): 1}
    assert told["innervate_outbox_pending_messages"] == {(): 1}
    assert told["innervate_outbox_buried_messages"] == {(): 1}
    assert told["innervate_outbox_buried_oldest_seconds"][()] >= 100
    assert told["innervate_dead_letters_open"] == {("router", "invalid_json"): 3}
    assert "innervate_held_expires_in_seconds" not in told
    # Nobody has ever started here.
    assert told["innervate_cluster_stuck"] == {(): 1}


async def test_counts_end_at_their_bounds(client: Client, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MESSAGES", 10)
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, headers) "
        "SELECT n % 64, n::text, 'payments', '', '[]' FROM generate_series(1, 500) AS n"
    )

    assert (await scrape(client))["innervate_outbox_pending_messages"] == {(): 10}


async def test_a_database_that_is_away_is_a_number_and_the_worker_tells_of_itself_all_the_same(
    client: Client, postgres: Postgres
) -> None:
    postgres.crash()
    try:
        told = await scrape(client)
    finally:
        postgres.restart()

    assert told["innervate_database_up"] == {(): 0}
    assert "innervate_outbox_pending_messages" not in told
    assert told["innervate_worker_info"].keys() == {("all", "live", "0.1.0")}
    assert (await scrape(client))["innervate_database_up"] == {(): 1}


async def test_a_database_that_takes_no_writes_is_not_up(client: Client, query: Query) -> None:
    [(name,)] = query("SELECT current_database()")
    query(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    assert (await scrape(client))["innervate_database_up"] == {(): 0}


async def test_many_scrapes_ask_postgresql_once_in_a_while(app: Innervate, query: Query) -> None:
    async with TestClient(TestServer(await app.web.wsgi())) as client:
        first = await scrape(client)
        query(
            "INSERT INTO outbox_messages (lane, message_id, topic, key, headers) "
            "VALUES (7, 'm-1', 'payments', '', '[]')"
        )
        second = await scrape(client)

    assert first["innervate_outbox_pending_messages"] == second["innervate_outbox_pending_messages"] == {(): 0}


async def test_a_decision_counts_once_by_agent_outcome_brain_and_fallback_and_its_copies_apart(
    app: Innervate, client: Client
) -> None:
    writer = app.runtime.writer
    await writer.record_all([decision("e-1"), decision("e-2", brain="small", outcome="block")])
    await writer.record(decision("e-3", fallback_reason="timeout"))
    await writer.record_all([decision("e-1"), decision("e-1"), decision("e-4")])

    told = await scrape(client)

    # agent, brain, fallback_reason, outcome, status
    assert told["innervate_decisions_total"] == {
        ("fraud", "rules", "", "approve", "committed"): 2,
        ("fraud", "small", "", "block", "committed"): 1,
        ("fraud", "rules", "timeout", "approve", "committed"): 1,
    }
    assert told["innervate_duplicates_suppressed_total"] == {("fraud",): 2}


async def test_a_refund_counts_when_it_is_written_once_and_not_when_postgresql_refuses_it(
    app: Innervate, client: Client
) -> None:
    writer = app.runtime.writer
    paid = decision("e-1", agent="recovery", effects=(refund(1),), otherwise=())
    await writer.record(paid)
    await writer.record(paid)
    # Beyond what was captured.
    refused = decision("e-2", agent="recovery", effects=(refund(2, 4000),), otherwise=decision("x").messages)
    await writer.record(refused)

    told = await scrape(client)

    assert told["innervate_shop_refunds_total"] == {("EUR",): 1}
    assert told["innervate_shop_refunded_minor_total"] == {("EUR",): 2000}
    assert told["innervate_decisions_total"]["recovery", "rules", "", "approve", "rejected"] == 1


async def test_a_held_decision_is_told_of_until_it_is_answered_and_its_refund_counts_then(
    app: Innervate, client: Client, query: Query
) -> None:
    hold = Hold(reason="moves", expires_in=timedelta(hours=2))
    held = decision("e-1", agent="recovery", status="held", effects=(refund(1),), hold=hold)
    await app.runtime.writer.record(held)

    told = await scrape(client)
    assert told["innervate_held_decisions"] == {(): 1}
    assert 7000 < told["innervate_held_expires_in_seconds"][()] <= 7200
    assert told["innervate_held_overdue_decisions"] == {(): 0}
    assert "innervate_shop_refunds_total" not in told

    [(sha256,)] = query("SELECT content_sha256 FROM approvals")
    await app.runtime.approvals.approve(held.id, sha256, Operator(name="ada"))

    told = await scrape(client)
    assert told["innervate_held_decisions"] == {(): 0}
    assert told["innervate_answers_total"] == {("approved",): 1, ("expired",): 0, ("rejected",): 0}
    assert told["innervate_shop_refunded_minor_total"] == {("EUR",): 2000}


async def test_what_is_missed_and_what_nobody_has_judged_is_told_of(
    app: Innervate, client: Client, query: Query
) -> None:
    due_at = datetime.now(UTC) - timedelta(hours=2)
    for event_id in ("e-1", "e-2"):
        expected = (Expected(name="shipped", due_at=due_at),)
        await app.runtime.writer.record(decision(event_id, agent="fulfilment", expected=expected))

    told = await scrape(client)
    assert 7200 <= told["innervate_expectations_overdue_seconds"][()] < 7300
    assert "innervate_expectations_missed" not in told

    became: Mapping[str, State] = {"e-1": "missed", "e-2": "met_late"}
    for event_id, state in became.items():
        [(one_id,)] = query("SELECT id::text FROM expectations WHERE event_id = %s", [event_id])
        settled = Settled(id=one_id, state=state)
        await app.runtime.expectations.settle("fulfilment", "shipped", [settled], was="open")

    told = await scrape(client)
    assert told["innervate_expectations_overdue_seconds"] == {(): 0}
    assert told["innervate_expectations_missed"] == {("fulfilment", "shipped"): 1}
    assert told["innervate_expectations_settled_total"] == {
        ("fulfilment", "shipped", "missed"): 1, ("fulfilment", "shipped", "met_late"): 1,
    }  # fmt: skip


async def test_what_retention_cannot_drop_and_how_far_partitions_reach_is_told(client: Client, query: Query) -> None:
    query(
        "CREATE TABLE decision_contents_old PARTITION OF decision_contents"
        " FOR VALUES FROM (now() - interval '50 days') TO (now() - interval '40 days')"
    )

    told = await scrape(client)
    # Nobody has said that anything is to be dropped.
    assert told["innervate_retention_due_seconds"] == {("decision_contents",): 0, ("llm_call_contents",): 0}
    assert set(told["innervate_retention_ahead_seconds"]) == {("decision_contents",), ("llm_call_contents",)}
    assert all(3 * 86400 <= ahead <= 7 * 86400 for ahead in told["innervate_retention_ahead_seconds"].values())

    query("UPDATE retention SET keep_days = 30")
    query(
        "DO $$ DECLARE p text; BEGIN FOR p IN SELECT partition FROM content_partitions('llm_call_contents') LOOP"
        " EXECUTE 'DROP TABLE ' || p; END LOOP; END $$"
    )

    told = await scrape(client)
    ten_days = 10 * 86400
    assert ten_days <= told["innervate_retention_due_seconds"][("decision_contents",)] < ten_days + 3600
    assert told["innervate_retention_due_seconds"][("llm_call_contents",)] == 0
    assert told["innervate_retention_ahead_seconds"][("llm_call_contents",)] == -1


@pytest.mark.parametrize("is_open", [True, False])
async def test_who_may_scrape_is_whoever_may_read_unless_the_settings_open_it(
    settings: Settings, *, is_open: bool
) -> None:
    guarded = settings.model_copy(
        update={"api_tokens": [f"scraper:read:{hashlib.sha256(b'scrape').hexdigest()}"], "metrics_open": is_open}
    )
    app = create_app(guarded)
    async with TestClient(TestServer(await app.web.wsgi())) as client:
        app.connections.is_private = False
        async with client.get("/metrics") as response:
            assert response.status == (200 if is_open else 401)
        async with client.get("/metrics", headers={"Authorization": "Bearer scrape"}) as response:
            assert response.status == 200
        async with client.get("/decisions") as response:
            assert response.status == 401
    await app.runtime.database.close()
