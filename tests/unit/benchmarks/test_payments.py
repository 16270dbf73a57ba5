"""The load of the benchmarks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson

from agents.model.catalogue import Catalogue
from agents.shop import shop
from benchmarks.payments import PAYMENT_BYTES, long_ago, payments
from tables.event import parse

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_payment_weighs_the_same_and_is_one_that_a_worker_takes() -> None:
    types = Catalogue([shop]).types
    for each in payments(3, 7, 60, start=START):
        assert len(each.value) == PAYMENT_BYTES == 401
        assert types.receive(parse(each.value, ())).data is not None


def test_customers_take_turns_and_no_payment_comes_twice() -> None:
    made = [orjson.loads(each.value) for each in payments(2, 0, 5, start=START)]

    assert [each["data"]["customer_id"] for each in made] == ["c0000000", "c0000001"] * 2 + ["c0000000"]
    assert len({each["id"] for each in made}) == 5
    assert made[0]["time"] < made[2]["time"] < made[4]["time"]


def test_a_round_later_goes_on_where_the_last_one_ended() -> None:
    both = [*payments(4, 0, 8, start=START), *payments(4, 2, 4, start=START)]

    assert both == list(payments(4, 0, 12, start=START))


def test_a_hundred_and_sixty_rounds_are_in_the_past_and_a_hundred_in_the_windows_age() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    [last] = payments(1, 158, 1, start=long_ago(now))

    at = datetime.fromisoformat(orjson.loads(last.value)["time"])
    assert now - timedelta(days=2) < at <= now
