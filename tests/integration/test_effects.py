"""Effects of a domain's own on PostgreSQL: whatever one does, its decision alone fails or waits, and nobody else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import Field

from agents.model.effect import Effect, Statement
from outbox.approvals import Approvals
from outbox.database import Database
from outbox.effects import EFFECT_SECONDS
from outbox.errors import EffectUnavailable, RowsLocked, SchemaUnusable, StatementRejected
from outbox.operator_actions import Operator
from outbox.records import DecisionRecord, Hold
from outbox.writer import DecisionWriter

DecisionOf = Callable[..., DecisionRecord]
Query = Callable[..., Any]

EVENT_IDS = "SELECT event_id FROM decisions ORDER BY event_id"
NOTES = "SELECT text FROM notes ORDER BY text"
SLOW = "SELECT pg_sleep(60)"


class Run(Effect, kind="run"):
    """Does what it is told to, a note first."""

    sql: str
    values: dict[str, str] = Field(default_factory=dict)

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        noted = ("INSERT INTO notes VALUES (%(text)s)", {"text": f"{decision_id} before"})
        return [noted, (self.sql, self.values)]


class Note(Run, kind="note"):
    """A good one."""

    sql: str = "INSERT INTO notes VALUES (%(text)s)"
    values: dict[str, str] = Field(default_factory=lambda: {"text": "good"})

    def statements(self, decision_id: uuid.UUID) -> Any:  # noqa: ARG002
        # Not a list: whatever can be gone through will do.
        yield self.sql, self.values


class Says(Effect, kind="says"):
    """Says this is what is to be written, or raises it."""

    answer: Any = None

    def statements(self, decision_id: uuid.UUID) -> Any:  # noqa: ARG002
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Forgetful(Run, kind="forgetful"):
    """Kept as something else than it is."""

    def kept(self) -> Mapping[str, Any]:
        return {"sql": "SELECT 1"}


class Unshowable(Note, kind="unshowable"):
    """Cannot be shown."""

    def shown(self) -> Mapping[str, Any]:
        return {"at": object()}


class Unrestorable(Note, kind="unrestorable"):
    """Was kept by a version that did it in another way."""

    broken: bool = False

    is_gone: ClassVar[bool] = False

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Any:
        if cls.is_gone:
            raise RuntimeError("gone")
        return super().restored(kept)


KNOWN = {effect.kind: effect for effect in (Run, Note, Unshowable, Unrestorable)}


@pytest.fixture(autouse=True)
def notes(query: Query) -> None:
    query("CREATE TABLE notes (text text NOT NULL)")
    query("CREATE TABLE twins (id int, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)")
    query("CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'")


async def among_others(writer: DecisionWriter, decision: DecisionOf, settle: Callable[..., Any], bad: Any) -> Any:
    """What becomes of a decision with this effect, when others before and after it share its batch."""
    outcomes = await settle(
        writer,
        decision("e-1", effects=(Note(),)),
        decision("e-2", agent="bad", effects=(bad,)),
        decision("e-3"),
        decision("e-4", effects=(Note(),)),
    )
    assert [outcomes[0], *outcomes[2:]] == [True, True, True]
    return outcomes[1]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("INSERT INTO", "syntax error at end of input"),
        ("INSERT INTO notes VALUES (NULL)", 'null value in column "text"'),
        ("INSERT INTO twins VALUES (1), (1)", "duplicate key value"),
        ("COMMIT", "EXECUTE of transaction commands is not implemented"),
        ("ROLLBACK", "EXECUTE of transaction commands is not implemented"),
        ("COMMIT; BEGIN", "EXECUTE of transaction commands is not implemented"),
        ("SAVEPOINT part", "EXECUTE of transaction commands is not implemented"),
        ("RELEASE SAVEPOINT part", "EXECUTE of transaction commands is not implemented"),
        ("CALL commits()", "invalid transaction termination"),
        ("VACUUM notes", "VACUUM cannot run inside a transaction block"),
        ("COPY notes FROM STDIN", "cannot COPY to/from client"),
        ("SET ROLE pg_monitor", "may not change the settings of the session"),
        ("SET search_path = pg_catalog", "may not change the settings of the session"),
        ("SET statement_timeout = 0", "may not change the settings of the session"),
        ("SELECT set_config('TimeZone', 'Asia/Tokyo', false)", "may not change the settings of the session"),
        ("SET TRANSACTION READ ONLY", "may not change the settings of the session"),
        ("DO $$ BEGIN RAISE EXCEPTION 'never' USING ERRCODE = 'MY123'; END $$", "never"),
        ("DO $$ BEGIN ASSERT false; END $$", "assertion failed"),
        ("SELECT 1/0", "division by zero"),
        ("SELECT (SELECT * FROM (VALUES (1), (2)) AS v)", "more than one row returned"),
    ],
)
async def test_a_statement_that_can_never_succeed_refuses_its_decision_alone(
    sql: str, why: str, writer: DecisionWriter, decision: DecisionOf, settle: Callable[..., Any], query: Query
) -> None:
    outcome = await among_others(writer, decision, settle, Run(sql=sql))

    assert isinstance(outcome, StatementRejected)
    assert why in str(outcome)
    assert "\n" not in str(outcome)
    assert query(EVENT_IDS) == [("e-1",), ("e-3",), ("e-4",)]
    assert query(NOTES) == [("good",), ("good",)]
    assert query("SELECT message_id FROM outbox_messages ORDER BY seq") == [("m-e-1",), ("m-e-3",), ("m-e-4",)]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (RuntimeError("no idea"), "effect says: it does not say what is written: RuntimeError: no idea"),
        (SystemError("a\nb"), "effect says: it does not say what is written: SystemError: a b"),
        (None, "effect says: it does not say what is written: TypeError: 'NoneType' object is not iterable"),
        ("SELECT 1", "effect says: expected pairs of SQL and its parameters by name"),
        (["SELECT 1"], "effect says: expected pairs of SQL and its parameters by name"),
        ([("SELECT 1", ())], "effect says: expected pairs of SQL and its parameters by name"),
        ([(b"SELECT 1", {})], "effect says: expected pairs of SQL and its parameters by name"),
        ([("SELECT 1", {}, {})], "effect says: expected pairs of SQL and its parameters by name"),
        ([("SELECT %(id)s", {"no": 1})], "effect says: a statement and its parameters do not fit: KeyError: 'id'"),
        ([("SELECT %s", {"no": 1})], "effect says: a statement and its parameters do not fit: "),
        ([("SELECT 100 % 3, %(id)s", {"id": 1})], "effect says: a statement and its parameters do not fit: "),
        ([("SELECT %(id)s", {"id": object()})], "effect says: a statement and its parameters do not fit: "),
        ([("SELECT %(id)s", {"id": "a\0b"})], "effect says: a statement and its parameters do not fit: "),
        ([("SELECT %(id)s", {"id": "\ud800"})], "effect says: a statement and its parameters do not fit: "),
    ],
)
async def test_an_effect_that_says_nothing_to_be_run_refuses_its_decision_alone(
    answer: Any, why: str, writer: DecisionWriter, decision: DecisionOf, settle: Callable[..., Any], query: Query
) -> None:
    outcome = await among_others(writer, decision, settle, Says(answer=answer))

    assert isinstance(outcome, StatementRejected)
    assert str(outcome).startswith(why)
    assert query(EVENT_IDS) == [("e-1",), ("e-3",), ("e-4",)]


async def test_what_is_refused_publishes_what_it_is_otherwise(
    writer: DecisionWriter, decision: DecisionOf, message: Callable[..., Any], query: Query
) -> None:
    record = decision("e-1", effects=(Says(answer=RuntimeError("no")),), otherwise=(message("heard"),))

    assert await writer.record(record) is True

    assert query("SELECT status FROM decisions") == [("rejected",)]
    assert query("SELECT message_id FROM outbox_messages") == [("heard",)]
    assert query("SELECT answered_by FROM approvals") == [
        ("PostgreSQL: effect says: it does not say what is written: RuntimeError: no",)
    ]


async def test_the_reason_of_a_refusal_repeats_no_values_of_the_statement(
    writer: DecisionWriter, decision: DecisionOf, settle: Callable[..., Any]
) -> None:
    secret = Run(sql="INSERT INTO notes VALUES (%(text)s) OOPS", values={"text": "4111 1111 1111 1111"})

    outcome = await among_others(writer, decision, settle, secret)

    assert str(outcome) == 'syntax error at or near "OOPS"'


@pytest.mark.parametrize(
    ("sql", "mend", "why"),
    [
        (
            "INSERT INTO later VALUES (1)",
            "CREATE TABLE later (id int)",
            'SchemaUnusable: relation "later" does not exist',
        ),
        (
            "INSERT INTO notes (text, more) VALUES ('x', 'y')",
            "ALTER TABLE notes ADD more text",
            'SchemaUnusable: column "more" of relation "notes" does not exist',
        ),
        (
            "SELECT later()",
            "CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "SchemaUnusable: function later() does not exist",
        ),
        (
            "SELECT raises()",
            "CREATE OR REPLACE FUNCTION raises() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "EffectUnavailable: no room",
        ),
        (
            "SELECT sleeps()",
            "CREATE OR REPLACE FUNCTION sleeps() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            f"EffectUnavailable: the effects took longer than {EFFECT_SECONDS} s, or were cancelled",
        ),
    ],
    ids=["table", "column", "function", "resources", "time"],
)
async def test_a_statement_that_may_succeed_later_waits_alone_says_so_and_is_run_then(
    sql: str,
    mend: str,
    why: str,
    writer: DecisionWriter,
    decision: DecisionOf,
    settle: Callable[..., Any],
    until: Callable[..., Any],
    query: Query,
) -> None:
    query(
        "CREATE FUNCTION raises() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$"
    )
    query("CREATE FUNCTION sleeps() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN 1; END $$")
    bad = asyncio.create_task(writer.record(decision("e-0", agent="bad", effects=(Run(sql=sql),))))
    good = [decision(f"e-{n}", effects=(Note(),) if n % 2 else ()) for n in range(1, 8)]

    assert await settle(writer, *good) == [True] * 7
    await until(lambda: "decisions of bad" in writer.troubles.current())

    assert writer.troubles.current() == {"decisions of bad": why}
    assert not bad.done()
    query(mend)
    assert await asyncio.wait_for(bad, 60) is True
    assert ("e-0",) in query(EVENT_IDS)


async def test_slow_effects_of_many_entities_hold_up_no_other_agent(
    writer: DecisionWriter, decision: DecisionOf, settle: Callable[..., Any], query: Query
) -> None:
    slow = [
        asyncio.create_task(writer.record(decision(f"s-{n}", agent="slow", effects=(Run(sql=SLOW),)))) for n in range(8)
    ]
    await asyncio.sleep(0)
    try:
        for number in range(3):
            assert (
                await settle(writer, *(decision(f"e-{number}-{n}", effects=(Note(),)) for n in range(8))) == [True] * 8
            )
    finally:
        for task in slow:
            task.cancel()
    assert query("SELECT count(*) FROM notes") == [(24,)]
    assert list(writer.troubles.current()) == ["decisions of slow"]


async def test_what_a_statement_would_have_changed_of_the_session_is_as_before_for_the_next(
    database_url: str, decision: DecisionOf, writing: Callable[..., Any], query: Query
) -> None:
    database = Database(database_url, connections=1)
    try:
        async with writing(database) as writer:
            for number, sql in enumerate(("SET ROLE pg_monitor", "SET search_path = nowhere", "SET lock_timeout = 1")):
                with pytest.raises(StatementRejected):
                    await writer.record(decision(f"bad-{number}", effects=(Run(sql=sql),)))
                assert await writer.record(decision(f"e-{number}", effects=(Note(),))) is True
    finally:
        await database.close()
    assert query(NOTES) == [("good",)] * 3


@pytest.fixture
def approvals(database: Database) -> Approvals:
    return Approvals(database, effects=KNOWN, on_commit=lambda _lanes: None)


@pytest.fixture
def held(decision: DecisionOf, message: Callable[..., Any]) -> DecisionOf:
    """A held decision with this effect, and one message otherwise."""

    def build(effect: Effect, expires_in: timedelta = timedelta(days=1)) -> DecisionRecord:
        hold = Hold(reason="amount", expires_in=expires_in, otherwise=(message("heard"),))
        return decision("e-1", status="held", effects=(effect,), hold=hold)

    return build


async def hash_of(approvals: Approvals, record: DecisionRecord) -> str:
    found = await approvals.find(record.id)
    assert found is not None
    return found.content_sha256


@pytest.mark.parametrize(
    ("sql", "error", "why"),
    [
        ("INSERT INTO later VALUES (1)", SchemaUnusable, 'relation "later" does not exist'),
        ("COMMIT", StatementRejected, "EXECUTE of transaction commands is not implemented"),
        ("INSERT INTO twins VALUES (1), (1)", StatementRejected, "duplicate key value"),
        ("SELECT %(no)s", StatementRejected, "effect run: a statement and its parameters do not fit: KeyError: 'no'"),
        (SLOW, EffectUnavailable, "the effects took longer than"),
    ],
    ids=["table", "commit", "deferred", "parameters", "time"],
)
async def test_an_approval_whose_effect_cannot_be_done_says_why_and_leaves_the_decision_held(
    sql: str,
    error: type[Exception],
    why: str,
    writer: DecisionWriter,
    approvals: Approvals,
    held: DecisionOf,
    query: Query,
) -> None:
    record = held(Run(sql=sql, values={"yes": "1"} if "%" in sql else {}))
    await writer.record(record)

    with pytest.raises(error, match=why.replace("(", r"\(")):
        await approvals.approve(record.id, await hash_of(approvals, record), Operator(name="ada"))

    assert query("SELECT status FROM decisions") == [("held",)]
    assert query("SELECT answer FROM approvals") == [(None,)]
    assert query(NOTES) == []
    assert query("SELECT count(*) FROM outbox_messages") == [(0,)]


async def test_an_effect_that_waits_for_a_strangers_lock_leaves_its_decision_held(
    writer: DecisionWriter, approvals: Approvals, held: DecisionOf, database: Database, query: Query
) -> None:
    record = held(Run(sql="UPDATE notes SET text = 'mine'"))
    await writer.record(record)
    query("INSERT INTO notes VALUES ('theirs')")

    async with database.transaction() as stranger:
        await stranger.run("LOCK TABLE notes")
        with pytest.raises(RowsLocked):
            await approvals.approve(record.id, await hash_of(approvals, record), Operator(name="ada"))

    assert query("SELECT status FROM decisions") == [("held",)]


async def test_an_effect_that_is_another_when_it_is_restored_is_never_held(
    writer: DecisionWriter, held: DecisionOf, query: Query
) -> None:
    with pytest.raises(StatementRejected, match="effect forgetful is another one when it is restored"):
        await writer.record(held(Forgetful(sql="DELETE FROM notes")))

    assert query(EVENT_IDS) == []


@pytest.mark.parametrize("answer", ["reject", "expire"])
async def test_what_cannot_be_restored_any_more_can_still_be_rejected_and_expires(
    answer: str, writer: DecisionWriter, approvals: Approvals, held: DecisionOf, query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    record = held(Unrestorable(), timedelta(days=1) if answer == "reject" else timedelta(0))
    await writer.record(record)
    monkeypatch.setattr(Unrestorable, "is_gone", True)
    hashed = await hash_of(approvals, record)
    with pytest.raises(StatementRejected, match="what is held cannot be read: RuntimeError"):
        await approvals.approve(record.id, hashed, Operator(name="ada"))

    if answer == "reject":
        await approvals.reject(record.id, hashed, Operator(name="ada"))
    else:
        assert await approvals.expire() == [record.id]

    assert query("SELECT status FROM decisions") == [("rejected",)]
    assert query("SELECT message_id FROM outbox_messages") == [("heard",)]
