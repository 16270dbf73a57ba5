"""What others gave back bounds what we give back, in PostgreSQL: also when every window has forgotten it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from fakes import PAYMENT
from refunding import refund

from agents.shop.events import ChargebackReceived, PaymentSucceeded, RefundIssued
from agents.shop.given_back import GivenBack
from outbox.database import Database
from outbox.errors import StatementRejected
from outbox.records import DecisionRecord
from outbox.writer import DecisionWriter

DecisionOf = Callable[..., DecisionRecord]
Query = Callable[..., Any]

ROWS = "SELECT kind, payment_id, amount_minor, currency FROM given_back ORDER BY recorded_at"
#: Payment p-1 took 50.00 EUR.
TAKEN = PaymentSucceeded(**PAYMENT | {"amount_minor": 5000})


def chargeback(amount_minor: int = 5000, currency: str = "EUR", capture: PaymentSucceeded | None = TAKEN) -> GivenBack:
    told = ChargebackReceived(**PAYMENT | {"amount_minor": amount_minor, "currency": currency})
    return GivenBack.of(told, capture)


def of_support(refund_id: str, amount_minor: int) -> GivenBack:
    told = RefundIssued(
        refund_id=refund_id, payment_id="p-1", order_id="o-1", customer_id="ada",
        amount_minor=amount_minor, currency="EUR", reason="sorry",
    )  # fmt: skip
    return GivenBack.of(told, TAKEN)


@pytest.mark.parametrize("capture", [TAKEN, None], ids=["known", "forgotten"])
async def test_a_refund_on_top_of_a_chargeback_is_refused(
    capture: PaymentSucceeded | None, writer: DecisionWriter, decision: DecisionOf, query: Query,
    settle: Callable[..., Any],
) -> None:  # fmt: skip
    outcomes = await settle(writer, decision("e-1", effects=(chargeback(capture=capture),)))
    outcomes += await settle(writer, decision("e-2", effects=(refund(1, 1),)))

    assert outcomes[0] is True
    assert isinstance(outcomes[1], StatementRejected)
    assert "given_back_at_most_what_was_captured" in str(outcomes[1])
    assert query("SELECT count(*) FROM refunds") == [(0,)]


async def test_what_a_chargeback_left_can_be_given_back_and_not_a_cent_more(
    writer: DecisionWriter, decision: DecisionOf, query: Query, settle: Callable[..., Any]
) -> None:
    await settle(writer, decision("e-1", effects=(chargeback(3000),)))

    outcomes = await settle(writer, decision("e-2", effects=(refund(1, 2000),)))
    outcomes += await settle(writer, decision("e-3", effects=(refund(2, 1),)))

    assert [type(each) for each in outcomes] == [bool, StatementRejected]
    assert query("SELECT amount_minor FROM refunds") == [(2000,)]


async def test_a_refund_of_support_counts_as_well_and_ours_once(
    writer: DecisionWriter, decision: DecisionOf, query: Query, settle: Callable[..., Any]
) -> None:
    ours = refund(1, 1000)
    await settle(writer, decision("e-1", effects=(ours,)))
    await settle(
        writer,
        decision("e-2", effects=(of_support("support-7", 3000),)),
        decision("e-3", effects=(of_support(ours.refund_id, 1000),)),
    )

    outcomes = await settle(writer, decision("e-4", effects=(refund(2, 1001),)))
    outcomes += await settle(writer, decision("e-5", effects=(refund(3, 1000),)))

    assert query(ROWS) == [("refund", "p-1", 3000, "EUR")]
    assert [type(each) for each in outcomes] == [StatementRejected, bool]


async def test_a_chargeback_after_our_refund_is_a_fact_and_never_refused(
    writer: DecisionWriter, decision: DecisionOf, query: Query, settle: Callable[..., Any]
) -> None:
    await settle(writer, decision("e-1", effects=(refund(1, 5000),)))

    assert await settle(writer, decision("e-2", effects=(chargeback(),))) == [True]

    assert query(ROWS) == [("chargeback", "p-1", 5000, "EUR")]


async def test_a_chargeback_reported_again_is_one_row(
    writer: DecisionWriter, decision: DecisionOf, query: Query, settle: Callable[..., Any]
) -> None:
    reports = [decision(f"e-{number}", effects=(chargeback(),)) for number in range(3)]

    assert await settle(writer, *reports) == [True, True, True]

    assert query(ROWS) == [("chargeback", "p-1", 5000, "EUR")]


async def test_nothing_more_is_given_back_of_a_payment_charged_back_in_another_currency(
    writer: DecisionWriter, decision: DecisionOf, settle: Callable[..., Any]
) -> None:
    await settle(writer, decision("e-1", effects=(chargeback(1, "JPY"),)))

    [outcome] = await settle(writer, decision("e-2", effects=(refund(1, 1),)))

    assert isinstance(outcome, StatementRejected)


async def test_the_capture_is_known_by_its_first_report_from_the_chargeback_on(
    writer: DecisionWriter, decision: DecisionOf, query: Query, settle: Callable[..., Any]
) -> None:
    await settle(writer, decision("e-1", effects=(chargeback(1000),)))

    [outcome] = await settle(writer, decision("e-2", effects=(refund(1, 4001, captured_minor=9000),)))

    assert isinstance(outcome, StatementRejected)
    assert query("SELECT captured_minor FROM captures") == [(5000,)]


async def test_refunds_and_chargebacks_of_one_payment_wait_for_each_other_whoever_writes_them(
    database_url: str, decision: DecisionOf, query: Query, writing: Callable[..., Any]
) -> None:
    pools = [Database(database_url) for _ in range(2)]
    try:
        async with writing(pools[0]) as one, writing(pools[1]) as other:
            outcomes = await asyncio.gather(
                *(one.record(decision(f"c-{n}", effects=(chargeback(n * 100, capture=None),))) for n in range(1, 6)),
                *(other.record(decision(f"r-{n}", effects=(refund(n, 1000),))) for n in range(1, 6)),
                return_exceptions=True,
            )
    finally:
        for pool in pools:
            await pool.close()

    assert outcomes[:5] == [True] * 5
    assert query("SELECT sum(amount_minor)::bigint FROM given_back") == [(1500,)]
    # A refund was made only while what stood there with it was within the capture.
    refused = [each for each in outcomes[5:] if each is not True]
    assert all(isinstance(each, StatementRejected) for each in refused)
    assert query("SELECT refunded_minor <= 5000 FROM captures") == [(True,)]


@pytest.mark.parametrize("change", ["UPDATE given_back SET amount_minor = 1", "DELETE FROM given_back"])
async def test_what_others_gave_back_cannot_be_changed(
    change: str, writer: DecisionWriter, decision: DecisionOf, query: Query
) -> None:
    await writer.record(decision("e-1", effects=(chargeback(),)))

    with pytest.raises(psycopg2.IntegrityError):
        query(change)


async def test_a_refund_of_ours_that_is_told_of_before_it_is_made_again_counts_once(
    writer: DecisionWriter, decision: DecisionOf, query: Query, settle: Callable[..., Any]
) -> None:
    ours = refund(1, 3000)
    await settle(writer, decision("e-1", effects=(of_support(ours.refund_id, 3000),)))

    outcomes = await settle(writer, decision("e-2", effects=(ours,)))
    outcomes += await settle(writer, decision("e-3", effects=(refund(2, 2001),)))
    outcomes += await settle(writer, decision("e-4", effects=(refund(3, 2000),)))

    assert [type(each) for each in outcomes] == [bool, StatementRejected, bool]
    assert query("SELECT sum(amount_minor) FROM refunds") == [(5000,)]
