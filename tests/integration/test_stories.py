"""Stories through the web views, on a real broker and a real database, without a running worker."""

from __future__ import annotations

import asyncio
import html
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from shop_catalogue import CATALOGUE

from agents.model.history import agent_source, digest_of
from app.composition import create_app
from app.sandbox import Broker, TansuBroker
from app.settings import Settings
from app.story import Sources, problems_of, story_of
from outbox.approvals import Approvals
from outbox.database import Database
from outbox.journal import Journal, LlmCall
from outbox.operator_actions import Operator
from outbox.records import DecisionRecord, Expected, Hold, Message, Origin
from outbox.writer import DecisionWriter
from tables.event import Event, to_json

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: With a slash, as ids of strangers may have.
ORDER = "o/17"
HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e{{7*7}}"

Places = dict[tuple[str, str], tuple[int, int]]
Ask = Callable[..., Awaitable[tuple[int, Any]]]


def event(event_id: str, kind: str, *, source: str = "urn:shop", **more: Any) -> Event:
    data = more.pop("data")
    return Event(id=event_id, source=source, type=kind, time=NOON, data=data, **more)


PLACED = event("e-placed", "OrderPlaced", data={"order_id": ORDER, "customer_id": "c-1", "note": HOSTILE})
PAID = event(
    "e-paid",
    "PaymentSucceeded",
    causationid="e-placed",
    data={"order_id": ORDER, "customer_id": "c-1", "payment_id": "p-1"},
)
FAILED = event(
    "e-error",
    "ErrorOccurred",
    causationid="e-nowhere",
    data={"order_id": ORDER, "service": "warehouse", "step": "pack", "error": "x", "message": HOSTILE},
)
DEPLOYED = event("e-deploy", "ServiceDeployed", data={"service": "warehouse", "version": "2"})
CAUSE = event(
    "m-cause",
    "RootCauseIdentified",
    source=agent_source("root_cause"),
    causationid="e-error",
    data={
        "order_id": ORDER,
        "error_event_id": "e-error",
        "culprit_event_id": "e-deploy",
        "failure": "bad_deployment",
        "confidence": 0.9,
        "evidence": ["e-error", "e-deploy"],
        "alternatives": [],
    },
)
#: What stands in the timelines, in the order in which it was written: kind and id of the entity, and the event.
WRITTEN = [
    ("service", "warehouse", DEPLOYED),
    *(("service", "warehouse", event(f"x-{n}", "ErrorOccurred", data={"service": "warehouse"})) for n in range(3)),
    ("order", "o-other", event("e-other", "OrderPlaced", data={"order_id": "o-other", "customer_id": "c-1"})),
    ("customer", "c-1", event("e-other", "OrderPlaced", data={"order_id": "o-other", "customer_id": "c-1"})),
    ("order", ORDER, PLACED),
    ("customer", "c-1", PLACED),
    ("order", ORDER, PAID),
    ("customer", "c-1", PAID),
    ("order", ORDER, PAID),
    ("order", ORDER, FAILED),
    ("service", "warehouse", FAILED),
    ("order", ORDER, CAUSE),
    ("customer", "c-2", event("e-stranger", "ReviewPosted", data={"customer_id": "c-2"})),
]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Places]]:
    """A broker, and partition and offset of the first record of each event in each kind's timeline."""
    broker = TansuBroker(tmp_path_factory.mktemp("stories") / "kafka")
    try:
        broker.start()
        yield broker, asyncio.run(written(broker))
    finally:
        broker.release()


async def written(broker: Broker) -> Places:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    await admin.create_topics([NewTopic(f"timeline-{kind}", 2, 1) for kind in ("order", "customer", "service")])
    await admin.close()
    places: Places = {}
    async with AIOKafkaProducer(bootstrap_servers=broker.address, enable_idempotence=False) as producer:
        for kind, entity_id, told in WRITTEN:
            sent = await producer.send_and_wait(f"timeline-{kind}", to_json(told), key=entity_id.encode())
            places.setdefault((kind, told.id), (sent.partition, sent.offset))
    return places


@pytest.fixture
async def ask(log: Any, database_url: str, tmp_path: Path) -> AsyncIterator[Ask]:
    """Status and JSON of a GET to a worker that is not started."""
    async with asking(log[0].address, database_url, tmp_path) as get:
        yield get


@asynccontextmanager
async def asking(kafka: str, database_url: str, tmp_path: Path) -> AsyncIterator[Ask]:
    settings = Settings(
        _env_file=None, kafka_broker=kafka, kafka_profile="tansu", database_url=database_url, datadir=tmp_path
    )
    app = create_app(settings)
    async with TestClient(TestServer(await app.web.wsgi())) as client:

        async def get(path: str) -> tuple[int, Any]:
            async with client.get(path) as response:
                is_json = "json" in response.content_type
                return response.status, await response.json() if is_json else await response.text()

        yield get
    await app.runtime.database.close()


@pytest.fixture
def decided(log: Any, writer: DecisionWriter, decision: Callable[..., DecisionRecord]) -> Any:
    """Records a decision of an agent on an event in the timeline of a kind; returns its id."""
    places = log[1]

    async def record(agent: str, kind: str, entity_id: str, on: Event, *messages: Event, **more: Any) -> str:
        partition, offset = places[kind, on.id]
        known = [(places[kind, each.id][1], to_json(each)) for each in more.pop("known", ())]
        row = decision(
            on.id,
            agent=agent,
            event_source=on.source,
            event_type=on.type,
            entity=kind,
            entity_id=entity_id,
            origin=Origin(topic=f"timeline-{kind}", partition=partition, offset=offset, at=NOON),
            history={
                "offsets": [place for place, _ in known],
                "sha256": more.pop("sha256", digest_of(known)),
            },
            decided_at=datetime.now(UTC),
            correlation_id=on.correlationid or on.id,
            messages=tuple(
                Message(id=each.id, topic="recovery", key=entity_id.encode(), value=to_json(each)) for each in messages
            ),
            **more,
        )
        await writer.record(row)
        return str(row.id)

    return record


async def test_a_story_has_what_happened_around_its_entity_and_draws_what_led_to_what(
    ask: Ask, decided: Any, query: Any
) -> None:
    scored = await decided("fraud", "customer", "c-1", PAID)
    blamed = await decided("root_cause", "order", ORDER, FAILED, CAUSE, outcome="bad_deployment", confidence=0.9)
    query("DELETE FROM outbox_messages")

    status, story = await ask("/stories/order/o%2F17")

    assert status == 200
    entries = {each["event_id"]: each for each in story["entries"] if each["kind"] == "event"}
    decisions = {each["decision_id"]: each for each in story["entries"] if each["kind"] == "decision"}
    assert set(decisions) == {scored, blamed}
    assert {name: each["belongs"] for name, each in entries.items() if not name.startswith("x-")} == {
        "e-placed": "own",
        "e-paid": "own",
        "e-error": "own",
        "m-cause": "own",
        "e-deploy": "named",
        "e-other": "context",
    }
    assert entries["e-paid"]["copies"] == 1
    links = {(each["cause"], each["effect"], each["kind"]) for each in story["links"]}
    assert (entries["e-placed"]["id"], entries["e-paid"]["id"], "caused") in links
    assert (entries["e-paid"]["id"], f"decision-{scored}", "decided") in links
    assert (entries["e-error"]["id"], f"decision-{blamed}", "decided") in links
    assert (f"decision-{blamed}", entries["m-cause"]["id"], "published") in links
    assert {mark["role"] for mark in entries["e-deploy"]["marks"]} == {"culprit", "evidence"}
    assert {mark["role"] for mark in entries["e-error"]["marks"]} == {"error", "evidence"}
    [fate] = decisions[blamed]["messages"]
    assert (fate["state"], fate["entry"], fate["at"]) == (
        "log",
        entries["m-cause"]["id"],
        entries["m-cause"]["recorded_at"],
    )
    gaps = [each for each in story["entries"] if each["kind"] == "gap"]
    assert [(each["reason"], each["about"]) for each in gaps] == [("cause_unknown", entries["e-error"]["id"])]
    assert [each["state"] for each in story["sources"]] == ["complete", "complete"]
    assert {(each["entity"], each["entity_id"]) for each in story["around"]} >= {
        ("order", ORDER), ("customer", "c-1"), ("service", "warehouse"),
    }  # fmt: skip
    assert story["around"][0]["is_own"] is True
    assert (story["truncated"], story["next"], story["is_open"]) == (False, None, False)
    assert (
        "RootCauseIdentified calls ErrorOccurred e-error the error and ServiceDeployed e-deploy the culprit"
        in " ".join(story["headline"]["happened"])
    )


def of(story: Any, kind: str) -> list[Any]:
    return [each for each in story["entries"] if each["kind"] == kind]


async def test_without_kafka_postgresql_tells_what_it_knows_and_says_so(
    decided: Any, database_url: str, tmp_path: Path
) -> None:
    await decided("root_cause", "order", ORDER, FAILED, CAUSE, outcome="bad_deployment")

    async with asking("127.0.0.1:1", database_url, tmp_path) as ask:
        status, story = await ask("/stories/order/o%2F17")

    assert status == 200
    assert [(each["source"], each["state"]) for each in story["sources"]] == [
        ("postgresql", "complete"),
        ("kafka", "absent"),
    ]
    assert {each["event_id"]: each["state"] for each in of(story, "event")} == {
        "e-error": "unread",
        "m-cause": "pending",
    }
    assert [each["outcome"] for each in of(story, "decision")] == ["bad_deployment"]


async def test_without_postgresql_kafka_tells_what_it_knows_and_says_so(ask: Ask, query: Any) -> None:
    query("ALTER TABLE decisions RENAME TO decisions_elsewhere")

    status, story = await ask("/stories/order/o%2F17")

    assert status == 200
    assert [(each["source"], each["state"]) for each in story["sources"]] == [
        ("postgresql", "absent"),
        ("kafka", "complete"),
    ]
    own = [each["event_id"] for each in of(story, "event") if each["belongs"] == "own"]
    assert own == ["e-placed", "e-paid", "e-error", "m-cause"]


async def test_what_is_open_is_said_message_by_message(ask: Ask, decided: Any, query: Any) -> None:
    sent = [
        event(f"m-{n}", "EscalationRequested", source=agent_source("recovery"), data={"order_id": ORDER}) for n in "ab"
    ]
    later = event("m-later", "RefundIssued", source=agent_source("recovery"), data={"order_id": ORDER})
    instead = event("m-instead", "EscalationRequested", source=agent_source("recovery"), data={"order_id": ORDER})
    await decided("confirmation", "order", ORDER, FAILED, *sent, outcome="escalate")
    held = await decided(
        "recovery",
        "order",
        ORDER,
        PAID,
        later,
        outcome="refund",
        status="held",
        hold=Hold(
            reason="large",
            expires_in=timedelta(days=1),
            otherwise=(Message(id="m-instead", topic="recovery", key=b"o/17", value=to_json(instead)),),
        ),
    )
    query(
        "WITH dead AS (DELETE FROM outbox_messages WHERE message_id = 'm-b' RETURNING *) INSERT INTO outbox_dead "
        "(seq, lane, message_id, topic, key, value, headers, committed_at, reason) "
        "SELECT seq, lane, message_id, topic, key, value, headers, committed_at, 'too large' FROM dead"
    )

    _, story = await ask("/stories/order/o%2F17")

    fates = {each["message_id"]: each for decision in of(story, "decision") for each in decision["messages"]}
    assert {name: each["state"] for name, each in fates.items()} == {
        "m-a": "pending",
        "m-b": "buried",
        "m-later": "withheld",
        "m-instead": "withheld",
    }
    assert fates["m-b"]["reason"] == "too large"
    assert fates["m-instead"]["is_otherwise"]
    [asked] = [each["approval"] for each in of(story, "decision") if each["decision_id"] == held]
    assert (asked["reason"], asked["answer"]) == ("large", None)
    assert story["is_open"]
    opened = " ".join(story["headline"]["open"])
    assert "recovery waits for a person (large)" in opened
    assert "1 message of the outbox not yet in Kafka" in opened
    assert "1 message refused by Kafka: too large." in opened


async def test_what_did_not_happen_stands_with_the_decision_it_was_to_follow(
    ask: Ask, decided: Any, query: Any
) -> None:
    await decided(
        "fulfilment", "order", ORDER, PAID, outcome="waiting", expected=(Expected(name="shipped", due_at=NOON),)
    )
    query("UPDATE expectations SET state = 'missed', missed_at = '2024-05-01T12:02:00Z'")

    _, story = await ask("/stories/order/o%2F17")
    [decision] = of(story, "decision")
    assert decision["expects"] == [
        {
            "name": "shipped", "due_at": "2024-05-01T12:00:00Z", "state": "missed",
            "missed_at": "2024-05-01T12:02:00Z", "ended_at": None, "ended_by": None,
        }
    ]  # fmt: skip
    assert story["is_open"]
    assert "What fulfilment expects (shipped) did not happen by 2024-05-01 12:00" in " ".join(story["headline"]["open"])

    query("UPDATE expectations SET state = 'met_late', ended_by = 'e-request', ended_at = '2024-05-01T13:00:00Z'")
    _, story = await ask("/stories/order/o%2F17")
    assert not story["is_open"]
    _, page = await ask("/ui/stories/order/o%2F17")
    assert "Expected as <strong>shipped</strong>" in page
    assert "e-request" in page

    query("DELETE FROM expectations")
    _, story = await ask("/stories/order/o%2F17")
    assert "expects" not in of(story, "decision")[0]


async def test_dead_letters_stand_beside_their_event_and_those_with_the_entitys_key_beside_it(
    ask: Ask, log: Any, query: Any
) -> None:
    partition, offset = log[1]["order", "e-paid"]
    for number, (consumer, topic, place, key) in enumerate(
        [("fraud", "timeline-order", (partition, offset), b"x"), ("router", "orders", (0, 5), ORDER.encode())]
    ):
        query(
            'INSERT INTO dead_letters (id, consumer, reason, detail, topic, partition, "offset", recorded_at, key, '
            "value, headers) VALUES (%s, %s, 'broken', %s, %s, %s, %s, clock_timestamp(), %s, '', '[]')",
            (f"00000000-0000-4000-8000-00000000000{number}", consumer, HOSTILE, topic, *place, key),
        )

    _, story = await ask("/stories/order/o%2F17")

    [paid] = [each for each in of(story, "event") if each["event_id"] == "e-paid"]
    assert {each["consumer"]: each["event"] for each in of(story, "dead_letter")} == {
        "fraud": paid["id"],
        "router": None,
    }
    assert "2 dead letters not put back: fraud broken, router broken." in story["headline"]["open"]


async def test_a_story_is_told_page_by_page(ask: Ask) -> None:
    _, newest = await ask("/stories/order/o%2F17?events=2")
    _, older = await ask(f"/stories/order/o%2F17?events=5&before={newest['next']}")

    def own(story: Any) -> list[str]:
        return [each["event_id"] for each in of(story, "event") if each["belongs"] == "own"]

    assert own(newest) == ["e-error", "m-cause"]
    assert own(older) == ["e-placed", "e-paid"]
    assert (newest["truncated"], older["next"]) == (True, None)


async def test_what_nobody_knows_has_an_empty_story_and_an_unknown_kind_has_none(ask: Ask) -> None:
    status, story = await ask("/stories/order/nobody")

    assert (status, story["entries"], story["headline"]["happened"]) == (200, [], ["Nothing is known of order nobody."])
    assert (await ask("/stories/planet/o-1"))[0] == 404
    assert (await ask("/stories/order/o-1?events=0"))[0] == 400
    assert (await ask("/stories/order/o-1?unknown=1"))[0] == 400


async def test_a_story_is_found_by_whatever_names_something_of_it(ask: Ask, decided: Any) -> None:
    made = await decided("root_cause", "order", ORDER, FAILED, CAUSE)

    async def found(text: str) -> list[tuple[str, str]]:
        _, body = await ask(f"/stories?text={text}")
        return [(each["entity"], each["entity_id"]) for each in body["stories"]]

    for text in ("o%2F17", "e-error", "m-cause", made, "e-deploy"):
        assert await found(text) == [("order", ORDER)], text
    # Nobody has decided about it: its timeline says that there is one.
    assert await found("o-other") == [("order", "o-other")]
    assert await found("nowhere") == []


async def test_a_case_file_has_what_agents_knew_verified_and_hides_what_is_asked_for(ask: Ask, decided: Any) -> None:
    made = await decided("root_cause", "order", ORDER, FAILED, CAUSE, known=[PLACED, PAID], outcome="bad_deployment")
    wrong = await decided("recovery", "order", ORDER, CAUSE, known=[PLACED], outcome="retry", sha256="00")

    status, whole = await ask("/stories/order/o%2F17/case-file")
    _, hidden = await ask("/stories/order/o%2F17/case-file?redact=standard,note,payment_id")

    assert status == 200
    assert problems_of(whole.encode()) == []
    assert problems_of(hidden.encode()) == []
    knowledge = {each["decision_id"]: each for each in data_of(whole)["knowledge"]}
    assert [(knowledge[each]["kind"], len(knowledge[each]["offsets"])) for each in (made, wrong)] == [
        ("same", 2),
        ("differs", 1),
    ]
    assert "<script" not in whole
    assert '"payment_id":"p-1"' in html.unescape(whole)
    # The note is hidden where another field quotes it as well.
    assert "alert(1)" not in html.unescape(hidden)
    assert "p-1" not in "".join(each["value"] for each in data_of(hidden)["records"])


def data_of(file: str) -> Any:
    found = re.search(r'<pre id="case-data" data-sha256="[0-9a-f]{64}">([^<]*)</pre>', file)
    assert found is not None
    return orjson.loads(html.unescape(found[1]))


async def test_a_story_on_a_terminal_has_no_escape_sequence_and_its_case_file_can_be_checked(
    log: Any, typed: Any, decided: Any, tmp_path: Path
) -> None:
    await decided("root_cause", "order", ORDER, FAILED, CAUSE, outcome="bad_deployment", reason=HOSTILE)
    kafka = {"KAFKA_BROKER": log[0].address, "KAFKA_PROFILE": "tansu"}
    file = tmp_path / "case.html"

    code, told, _ = await typed("order", ORDER, **kafka)
    again, same, _ = await typed("story", "order", ORDER, "--json", **kafka)
    written, _, _ = await typed("order", ORDER, "--case-file", file, **kafka)
    checked, verdict, _ = await typed("case-file", "--verify", file)
    file.write_bytes(file.read_bytes().replace(b"bad_deployment", b"no_deployment!", 1))
    changed, wrong, _ = await typed("case-file", "--verify", file)

    assert (code, again, written, checked, changed) == (0, 0, 0, 0, 1)
    assert "root_cause decided bad_deployment" in told
    assert "← on ErrorOccurred e-error" in told
    assert "ServiceDeployed e-deploy EVIDENCE CULPRIT" in told or "ServiceDeployed e-deploy CULPRIT EVIDENCE" in told
    assert not {"\x1b", "\u202e"} & set(told + same)
    assert orjson.loads(same)["entity_id"] == ORDER
    assert "every hash is right" in verdict
    assert "it was changed" in wrong


async def test_no_other_kind_and_no_hiding_without_a_file_on_the_command_line(typed: Any) -> None:
    assert (await typed("story", "planet", "o-1"))[0] == 2
    assert (await typed("order", "o-1", "--redact", "address"))[0] == 2


async def test_what_only_happened_meanwhile_brings_no_decisions_with_it(ask: Ask, decided: Any) -> None:
    other = event("e-other", "OrderPlaced", data={"order_id": "o-other", "customer_id": "c-1"})
    await decided("fraud", "customer", "c-1", other)
    await decided("root_cause", "order", ORDER, FAILED, CAUSE)

    _, story = await ask("/stories/order/o%2F17")

    assert "e-other" in {each["event_id"] for each in of(story, "event")}
    assert [each["agent"] for each in of(story, "decision")] == ["root_cause"]


async def test_rows_that_a_decision_wrote_are_with_it_and_lead_to_its_story(ask: Ask, decided: Any, query: Any) -> None:
    made = await decided("recovery", "order", ORDER, PAID, outcome="refund")
    query(
        "INSERT INTO captures (payment_id, order_id, currency, captured_minor) VALUES ('p-77', %s, 'EUR', 9)", (ORDER,)
    )
    query(
        "INSERT INTO given_back (given_back_id, decision_id, kind, payment_id, order_id, amount_minor, currency) "
        "VALUES (gen_random_uuid(), %s, 'chargeback', 'p-77', %s, 7, 'EUR')",
        (made, ORDER),
    )

    _, story = await ask("/stories/order/o%2F17")
    _, found = await ask("/stories?text=p-77")

    [decision] = of(story, "decision")
    assert [(each["table"], each["row"]["amount_minor"]) for each in decision["effects"]] == [("given_back", 7)]
    assert found["stories"] == [{"entity": "order", "entity_id": ORDER, "why": "row"}]


async def test_prompts_replies_and_answers_of_people_are_with_their_decision(
    ask: Ask, decided: Any, database: Database, query: Any
) -> None:
    made = await decided(
        "recovery",
        "order",
        ORDER,
        PAID,
        outcome="refund",
        status="held",
        hold=Hold(reason="large", expires_in=timedelta(days=1)),
        brain="small",
        model="small-1",
        fallback_reason=None,
    )
    journal = Journal(database)
    for attempt, (prompt, reply, error) in enumerate(
        [("first", None, "timeout"), (HOSTILE, '{"plan": "refund"}', None)], 1
    ):
        await journal.record(
            LlmCall(
                agent="recovery",
                event_source=PAID.source,
                event_id=PAID.id,
                attempt=attempt,
                model="small-1",
                prompt_sha256="0" * 64,
                prompt=prompt,
                reply=reply,
                prompt_tokens=12,
                completion_tokens=3,
                latency_ms=40,
                error=error,
                called_at=NOON + timedelta(seconds=attempt),
            )
        )
    await journal.stop()
    approvals = Approvals(database, effects={}, on_commit=lambda _lanes: None)
    held = await approvals.find(uuid.UUID(made))
    assert held is not None
    await approvals.approve(held.decision_id, held.content_sha256, Operator(name="ada"))

    _, story = await ask("/stories/order/o%2F17")

    [decision] = of(story, "decision")
    assert [(each["prompt"], each["reply"], each["error"], each["prompt_tokens"]) for each in decision["calls"]] == [
        ("first", None, "timeout", 12),
        (HOSTILE, '{"plan": "refund"}', None, 12),
    ]
    assert (decision["approval"]["answer"], decision["approval"]["answered_by"]) == ("approved", "ada")
    [answer] = of(story, "answer")
    assert (answer["decision"], answer["answer"], answer["by"]) == (decision["id"], "approved", "ada")
    assert {"cause": decision["id"], "effect": answer["id"], "kind": "answered"} in story["links"]
    assert "ada approved what recovery had decided (refund)" in " ".join(story["headline"]["done"])


async def test_a_busy_kafka_is_not_waited_for(decided: Any, log: Any, database: Database) -> None:
    await decided("root_cause", "order", ORDER, FAILED, CAUSE)
    sources = Sources(
        database=database, catalogue=CATALOGUE, reader_of=lambda _kind: pytest.fail("it was read"), kafka_seconds=0.05
    )

    async with sources.turn, sources.turn:
        story = await story_of(sources, "order", ORDER)

    assert [(each.source, each.state) for each in story.sources] == [("postgresql", "complete"), ("kafka", "absent")]
    assert "Kafka was not read: other stories are being read, try again" in story.sources[1].details
    assert [each.kind for each in story.entries].count("decision") == 1


async def test_a_flood_of_decisions_is_bounded_and_said(ask: Ask, query: Any, decided: Any) -> None:
    made = await decided("root_cause", "order", ORDER, FAILED)
    query(
        "INSERT INTO decisions SELECT (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid(), "
        "'event_id', 'flood-' || n, 'offset', 1000 + n))).* FROM decisions AS d, generate_series(1, 400) AS n "
        "WHERE d.id = %s",
        (made,),
    )

    _, story = await ask("/stories/order/o%2F17?events=50")

    assert len(of(story, "decision")) == 50
    assert story["truncated"]
    assert f"of the decisions about order {ORDER} only the newest 50 are told" in story["left_out"]
    # The newest 50 are those on the last 50 offsets, and the next page begins right before them.
    assert story["next"] == 1351
    _, older = await ask("/stories/order/o%2F17?events=50&before=1351")
    offsets = [each["knew"]["offset"] for page in (older, story) for each in of(page, "decision")]
    assert sorted(offsets) == list(range(1301, 1401))


async def test_a_page_has_the_decisions_on_its_own_events_whenever_they_were_made(ask: Ask, decided: Any) -> None:
    late = await decided("fraud", "order", ORDER, PLACED)
    newest = await decided("recovery", "order", ORDER, CAUSE)

    _, story = await ask("/stories/order/o%2F17?events=2")
    _, older = await ask(f"/stories/order/o%2F17?before={story['next']}")

    assert [[each["decision_id"] for each in of(page, "decision")] for page in (story, older)] == [[newest], [late]]
