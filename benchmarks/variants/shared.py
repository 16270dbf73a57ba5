"""What the variants share: the rule, the table, and how they say that they are ready."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import psycopg2

from agents.model.history import Past
from agents.shop.events import FraudScored, PaymentSucceeded
from agents.shop.fraud.past import Report, report
from agents.shop.fraud.rules import score

#: Payments that are remembered of a customer.
WINDOW: Final = 50
#: Where those without a way back publish.
SCORES: Final = "fraud-scores"

KAFKA: Final = os.environ.get("KAFKA_BROKER", "")
DATABASE_URL: Final = os.environ.get("DATABASE_URL", "")
DATADIR: Final = os.environ.get("DATADIR", "")

DECISIONS: Final = """
CREATE TABLE IF NOT EXISTS decisions (
    id           text PRIMARY KEY,
    event_id     text NOT NULL,
    event_source text NOT NULL,
    customer_id  text NOT NULL,
    outcome      text NOT NULL,
    reason       text NOT NULL,
    confidence   double precision NOT NULL,
    score        integer NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS decisions_by_customer ON decisions (customer_id, committed_at);
"""
OUTBOX: Final = """
CREATE TABLE IF NOT EXISTS outbox_messages (
    seq   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key   bytea NOT NULL,
    value bytea NOT NULL
);
"""


def create_tables(*statements: str) -> None:
    """Create what is not there."""
    connection = psycopg2.connect(DATABASE_URL)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


class Remembered(NamedTuple):
    """A payment that is kept in memory, and what the rule reads of it: who keeps the one can keep the other."""

    past: Past[PaymentSucceeded]
    report: Report | None


class KnownPayments:
    """The history the rule reads, over payments that were read before. Oldest first."""

    def __init__(self, known: Sequence[Remembered], event_id: str, at: datetime) -> None:
        self._known = known
        self.event = SimpleNamespace(id=event_id)
        self.at = at

    def made(self, maker: Callable[[Past[Any]], Report | None]) -> Sequence[Report]:
        """What the rule reads of each."""
        assert maker is report, "the rule reads its reports, and nothing else"
        return [each.report for each in self._known if each.report is not None]


def read(event: Mapping[str, Any]) -> Past[PaymentSucceeded]:
    """A payment as it came; checked."""
    data = PaymentSucceeded.model_validate(event["data"])
    return Past(data, datetime.fromisoformat(event["time"]), event["id"], None, event["source"])


def kept(past: Past[PaymentSucceeded]) -> Remembered:
    """A payment to remember."""
    return Remembered(past, report(past))


def remembered(event: Mapping[str, Any]) -> Remembered:
    """A payment that was checked when it came."""
    data = PaymentSucceeded.model_construct(**event["data"])
    return kept(Past(data, datetime.fromisoformat(event["time"]), event["id"], None, event["source"]))


def judged(payment: Past[PaymentSucceeded], known: Sequence[Remembered]) -> dict[str, Any]:
    """What our own agent decides, by the same rule: the columns of the decision."""
    history: Any = KnownPayments(known, payment.id, payment.at)
    decision = score(payment.data, history)
    [scored] = decision.emit
    assert isinstance(scored, FraudScored)
    return {
        "id": f"fraud/{payment.source}/{payment.id}",
        "event_id": payment.id,
        "event_source": payment.source,
        "customer_id": payment.data.customer_id,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "confidence": decision.confidence,
        "score": scored.score,
    }


def message(row: Mapping[str, Any], payment: Mapping[str, Any], now: str) -> dict[str, Any]:
    """What is published of a decision, in a CloudEvents envelope as ours is; `payment` is the data judged."""
    return {
        "specversion": "1.0",
        "id": row["id"],
        "source": "urn:bench:fraud",
        "type": "FraudScored",
        "time": now,
        "causationid": row["event_id"],
        "data": {
            "payment_id": payment["payment_id"],
            "order_id": payment["order_id"],
            "customer_id": payment["customer_id"],
            "score": row["score"],
            "verdict": row["outcome"],
            "reasons": [row["reason"]],
        },
    }


def say_ready() -> socket.socket:
    """Listen where the benchmark looks."""
    return socket.create_server(("127.0.0.1", int(os.environ["READY_PORT"])))
