"""Views of the page about what waits, what went wrong, and what others would have decided: on an idle worker."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from letters import letter
from llm_calls import call
from pages import Page, require_sound
from refunding import refund

from agents.engine.shadow import Shadow, ShadowWriter
from app.composition import create_app
from app.sandbox import Postgres
from app.settings import Settings
from app.worker.status import PartitionStatus, WorkerStatus
from outbox.database import Database
from outbox.journal import Journal
from outbox.records import DecisionRecord, Hold
from outbox.workers import Worker, announce
from outbox.writer import DecisionWriter

Client = TestClient[Any, Any]
Open = Callable[..., Awaitable[Page]]
Decide = Callable[..., DecisionRecord]
Query = Callable[..., Any]

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: What a stranger may write into any field of an event.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202eevil"


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    app = create_app(
        Settings(
            _env_file=None,
            kafka_broker="127.0.0.1:1",
            database_url=database_url,
            datadir=tmp_path,
            llm_url="http://127.0.0.1:1/v1",
            llm_model="small",
            llm_daily_tokens="1000",
        )
    )
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


@pytest.fixture
def open_page(client: Client) -> Open:
    """A page that is sound; its status is 200 unless another one is expected."""

    async def opened(path: str, status: int = 200) -> Page:
        async with client.get(path, headers={"Accept": "text/html"}) as response:
            assert (response.status, response.content_type) == (status, "text/html")
            found = re.search(r"script-src 'nonce-([^']+)'", response.headers["Content-Security-Policy"])
            assert found is not None
            return require_sound(await response.text(), found[1])

    return opened


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    running = Journal(database)
    yield running
    await running.stop()


@pytest.fixture
def held(decision: Decide, message: Callable[..., Any]) -> Decide:
    """A held decision of `recovery` with a refund, one message, and another one otherwise."""

    def build(event_id: str, **changes: Any) -> DecisionRecord:
        hold = Hold(
            reason="amount",
            expires_in=timedelta(days=1),
            otherwise=(message(f"escalated-{event_id}", topic="recovery"),),
        )
        return decision(
            event_id, **{"agent": "recovery", "status": "held", "effects": (refund(1),), "hold": hold} | changes
        )

    return build


async def test_a_held_decision_shows_exactly_what_follows_from_each_answer(
    open_page: Open, writer: DecisionWriter, held: Decide, query: Query
) -> None:
    record = held("pay-1", reason="Two captures, one order")
    await writer.record(record)
    [[sha256]] = query("SELECT content_sha256 FROM approvals")

    listed, page = await open_page("/ui/approvals"), await open_page(f"/ui/approvals/{record.id}")

    assert f"/ui/approvals/{record.id}" in listed.asked_for
    assert "Two captures, one order" in listed.text
    assert sha256 in page.text
    for told in ("refund", "2000", "m-pay-1", "escalated-pay-1", "Why is this held?"):
        assert told in page.text


async def test_approvals_go_on_page_by_page(open_page: Open, writer: DecisionWriter, held: Decide) -> None:
    records = [held(f"pay-{n}", effects=(refund(n),)) for n in range(3)]
    for record in records:
        await writer.record(record)

    first = await open_page("/ui/approvals?limit=2")
    [older] = [str(each.attributes["href"]) for each in first.all("a") if each.attributes.get("rel") == "next"]
    second = await open_page(older)

    shown = [
        {path for path in page.asked_for if re.fullmatch(r"/ui/approvals/[0-9a-f-]{36}", path)}
        for page in (first, second)
    ]
    assert [len(each) for each in shown] == [2, 1]
    assert shown[0] | shown[1] == {f"/ui/approvals/{record.id}" for record in records}


@pytest.mark.parametrize("path", ["/ui/approvals/{}", "/ui/dead-letters/{}", "/ui/models/calls/{}"])
async def test_what_is_not_there_is_404(open_page: Open, path: str) -> None:
    for wrong in ("00000000-0000-0000-0000-000000000007", "7", "%3Cb%3E"):
        await open_page(path.format(wrong), 404)


async def test_an_empty_outbox_is_said_in_a_sentence(open_page: Open) -> None:
    assert "Everything that was committed is published." in (await open_page("/ui/outbox")).text


async def test_what_waits_in_the_outbox_is_counted_and_drawn_from_numbers(
    client: Client, open_page: Open, commit: Callable[..., None]
) -> None:
    commit("m-1", "m-2")

    page = await open_page("/ui/outbox")
    async with client.get("/ui/outbox/series") as response:
        times, pending, oldest = await response.json()
        assert response.headers["Cache-Control"] == "no-store"

    assert "2 messages wait, the oldest for" in page.text
    [columns] = [
        json.loads(str(each.attributes["data-sparkline-columns"]))
        for each in page.elements
        if "data-sparkline-columns" in each.attributes
    ]
    assert (columns[1], pending, len(times), len(oldest)) == ([2], [2], 1, 1)


async def test_a_message_that_does_not_move_is_trouble(open_page: Open, query: Query) -> None:
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, headers, committed_at) "
        "VALUES (7, 'm-1', 'payments', 'k', '[]', now() - interval '10 minutes')"
    )

    page = await open_page("/ui/outbox")

    assert re.search(r"1 message waits, the oldest for 60\d s: Kafka does not take them", page.text)
    assert "notice-bad" in {part for each in page.all("section") for part in str(each.attributes.get("class")).split()}


async def test_buried_messages_are_grouped_by_cause(open_page: Open, query: Query) -> None:
    query(
        "INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason) "
        "SELECT n, n, 'm-' || n, 'payments', 'k', 'value', '[]', now(), 'too large' FROM generate_series(1, 3) AS n"
    )

    page = await open_page("/ui/outbox")
    one = await open_page("/ui/outbox/dead/2")

    assert "payments too large 3" in page.text
    assert [path for path in page.asked_for if "/dead/" in path] == [f"/ui/outbox/dead/{seq}" for seq in (3, 2, 1)]
    assert ("m-2" in one.text, "too large" in one.text, "value" in one.text) == (True, True, True)
    await open_page("/ui/outbox/dead/9", 404)
    assert "Kafka has refused no message for this topic" in (await open_page("/ui/outbox?topic=orders")).text


async def test_dead_letters_are_grouped_filtered_and_shown_with_their_origin(
    open_page: Open, writer: DecisionWriter
) -> None:
    for offset in range(3):
        await writer.bury(letter(offset))
    broken = letter(9, consumer="router", reason="invalid_json", value=b"\xff\x00")
    await writer.bury(broken)

    page = await open_page("/ui/dead-letters")
    filtered = await open_page("/ui/dead-letters?reason=invalid_json&redriven=false&consumer=")
    text = await open_page(f"/ui/dead-letters/{letter(0).id}")
    binary = await open_page(f"/ui/dead-letters/{broken.id}")

    assert "decision_failed fraud timeline-customer 3 3" in page.text
    assert ("timeline-customer[2]@9" in filtered.text, "timeline-customer[2]@1" in filtered.text) == (True, False)
    assert "KeyError while deciding" in text.text
    assert '{"n":1}' in text.text
    assert "base64" in binary.text
    assert "/wA=" in binary.text


async def test_a_filter_that_says_no_is_kept_from_page_to_page(open_page: Open, writer: DecisionWriter) -> None:
    for offset in range(3):
        await writer.bury(letter(offset))

    page = await open_page("/ui/dead-letters?redriven=false&limit=2")

    [older] = [str(each.attributes["href"]) for each in page.all("a") if each.attributes.get("rel") == "next"]
    assert "redriven=false" in older
    assert "timeline-customer[2]@0" in (await open_page(older)).text


async def test_a_shadow_stands_beside_the_live_agent(open_page: Open, writer: DecisionWriter, decision: Decide) -> None:
    shadow = ShadowWriter(Shadow("v2"), writer)
    for n in range(4):
        await writer.record(decision(f"pay-{n}", outcome="approve"))
        await shadow.record(decision(f"pay-{n}", outcome="approve" if n else "block", reason="Five cards in an hour"))

    page = await open_page("/ui/shadows")

    assert "The same in 75.0 % of 4 events." in page.text
    assert "approve → block" in page.text
    assert "Five cards in an hour" in page.text
    assert "faust -A app replay" in page.text


async def test_calls_of_models_stand_with_their_tokens_and_one_with_its_texts(
    open_page: Open, journal: Journal, query: Query
) -> None:
    await journal.record(call(event_id="pay-1", prompt="Is this fraud?", reply="approve"))
    await journal.record(call(event_id="pay-2", error="no JSON", reply=None, prompt_tokens=None))
    query("INSERT INTO llm_budgets (agent, day, used_tokens) SELECT 'fraud', (now() AT TIME ZONE 'UTC')::date, 850")
    [[call_id]] = query("SELECT id::text FROM llm_calls WHERE event_id = 'pay-1'")

    page = await open_page("/ui/models")
    failed = await open_page("/ui/models?failed=true")
    one = await open_page(f"/ui/models/calls/{call_id}")

    assert "fraud small 2 1 120 16" in page.text
    assert "85 %" in page.text
    assert "runs out" in page.text
    assert ("pay-2" in failed.text, "pay-1" in failed.text) == (True, False)
    assert ("Is this fraud?" in one.text, "approve" in one.text) == (True, True)


async def test_every_worker_says_what_it_has_and_how_it_moves(open_page: Open, database: Database) -> None:
    worker = Worker(
        name="host:1:aa",
        kind="live",
        agent_set="all",
        agents=("fraud",),
        release="0.1.0",
        address="http://127.0.0.1:6066",
        started_at=NOON,
    )
    moving = PartitionStatus(topic="timeline-order", partition=1, position=7, end=9, moved_at=NOON, behind_since=NOON)
    status = WorkerStatus(
        partitions={"timeline-order": "0-2"},
        timelines=("timeline-order",),
        timeline_partitions=3,
        moving=(moving,),
        in_flight=2,
        oldest_in_flight_at=NOON,
        checks={"outbox": "ok", "lag": f"timeline-order[1] is 700 s behind {HOSTILE}"},
        failing_since={"lag": NOON},
        held_up={HOSTILE: HOSTILE},
    )
    await announce(database, worker, status.model_dump_json())

    page = await open_page("/ui/workers?status=alive&agent=")

    assert "Something is stuck:" in page.text
    assert "lag: timeline-order[1] is 700 s behind" in page.text
    assert "timeline-order[1] 2 7 9 " in page.text
    assert "partitions 0-2" in page.text
    assert page.all("img") == []
    assert "No worker is like that" in (await open_page("/ui/workers?status=stopped")).text
    await open_page("/ui/workers?status=asleep", 400)


async def test_no_worker_at_all_is_trouble(open_page: Open) -> None:
    assert "no worker has said anything within a day" in (await open_page("/ui/workers")).text


async def test_rows_of_domains_lead_to_their_decision_and_story(
    open_page: Open, writer: DecisionWriter, decision: Decide, query: Query
) -> None:
    record = decision("pay-1", effects=(refund(1),))
    await writer.record(record)

    overview = await open_page("/ui/rows")
    page = await open_page("/ui/rows/refunds?order_id=o-1")

    assert {"/ui/rows/refunds", "/ui/rows/ledger-entries", "/ui/rows/given-back"} <= set(overview.asked_for)
    assert {f"/ui/decisions/{record.id}", "/ui/stories/order/o-1", "/ui/stories/customer/c-1"} <= set(page.asked_for)
    assert "2 000 EUR" in page.text
    assert "There is no such row" in (await open_page("/ui/rows/refunds?order_id=o-2")).text
    await open_page("/ui/rows/refunds?colour=red", 400)
    await open_page("/ui/rows/nothing", 404)


async def test_what_strangers_wrote_is_text_in_every_view(
    open_page: Open,
    writer: DecisionWriter,
    held: Decide,
    decision: Decide,
    message: Callable[..., Any],
    journal: Journal,
    query: Query,
) -> None:
    bytes_ = HOSTILE.encode()
    published = message("m", key=bytes_, value=json.dumps({"type": HOSTILE}).encode(), headers=((HOSTILE, bytes_),))
    hostile = letter(1, reason=HOSTILE, detail=HOSTILE, key=bytes_, value=bytes_, headers=((HOSTILE, bytes_),))
    await writer.bury(hostile)
    record = held(
        "pay-1",
        entity_id=HOSTILE,
        outcome=HOSTILE,
        reason=HOSTILE,
        messages=(published,),
        effects=(refund(1, order_id=HOSTILE, reason=HOSTILE),),
    )
    await writer.record(record)
    await writer.record(decision("pay-2", effects=(refund(2, order_id=HOSTILE, reason=HOSTILE),)))
    await writer.record(decision("pay-3", outcome=HOSTILE, reason=HOSTILE, entity_id=HOSTILE))
    await ShadowWriter(Shadow("v2"), writer).record(decision("pay-3", outcome="x", reason=HOSTILE))
    await journal.record(call(prompt=HOSTILE, reply=HOSTILE, model=HOSTILE, error=HOSTILE))
    [[call_id]] = query("SELECT id::text FROM llm_calls")
    query(
        "INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason) "
        "VALUES (1, 1, %(text)s, %(text)s, 'k', 'v', '[]', now(), %(text)s)",
        {"text": HOSTILE},
    )

    for path in (
        "/ui/approvals",
        f"/ui/approvals/{record.id}",
        "/ui/outbox",
        "/ui/outbox/dead/1",
        "/ui/dead-letters",
        f"/ui/dead-letters/{hostile.id}",
        "/ui/shadows",
        "/ui/models",
        f"/ui/models/calls/{call_id}",
        "/ui/rows/refunds",
    ):
        page = await open_page(path)
        assert "<script>alert(1)</script>" in page.text, path
        assert "\u202e" not in page.text, path
        assert page.all("img") == [], path


async def test_a_database_that_is_away_is_said_by_every_view(open_page: Open, postgres: Postgres) -> None:
    postgres.crash()
    try:
        for path in (
            "/ui/approvals",
            "/ui/outbox",
            "/ui/dead-letters",
            "/ui/shadows",
            "/ui/models",
            "/ui/rows/refunds",
        ):
            assert "PostgreSQL does not answer" in (await open_page(path, 503)).text
    finally:
        postgres.restart()
