"""Budget on PostgreSQL: workers together never have more than the limit used and reserved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from waiting import PATIENCE_SECONDS

from outbox.budget import BUDGET_LOCK, Budget, Reservation
from outbox.database import Database, queries

#: The key of the agent's lock: the upper 31 bits of its CRC-32.
FRAUD_LOCK = 544360961
EXPIRE = "UPDATE llm_reservations SET expires_at = clock_timestamp() - interval '1 second'"
YESTERDAY = "(clock_timestamp() AT TIME ZONE 'UTC')::date - 1"


@pytest.fixture
async def budget_of(database_url: str) -> AsyncIterator[Callable[..., Budget]]:
    """Budgets with connections of their own, as in workers apart."""
    async with AsyncExitStack() as stack:

        def build(**limits: int) -> Budget:
            pool = Database(database_url, timeout_seconds=PATIENCE_SECONDS)
            stack.push_async_callback(pool.close)
            budget = Budget(pool, limits)
            stack.push_async_callback(budget.stop)
            return budget

        yield build


async def reserved(budget: Budget, agent: str, tokens: int) -> Reservation:
    reservation = await budget.reserve(agent, tokens)
    assert reservation is not None
    return reservation


async def test_a_reservation_up_to_the_limit_is_granted_and_one_beyond_it_is_not(
    budget_of: Callable[..., Budget],
) -> None:
    budget = budget_of(fraud=1000)

    assert await budget.reserve("fraud", 600)
    assert await budget.reserve("fraud", 401) is None
    assert await budget.reserve("fraud", 400)
    assert await budget.reserve("fraud", 1) is None


async def test_what_was_used_takes_the_place_of_what_was_reserved(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    budget = budget_of(fraud=1000)
    await budget.settle(await reserved(budget, "fraud", 900), 300)

    assert query("SELECT agent, used_tokens, (SELECT count(*) FROM llm_reservations) FROM llm_budgets") == [
        ("fraud", 300, 0)
    ]
    assert await budget.reserve("fraud", 701) is None
    assert await budget.reserve("fraud", 700)


async def test_a_reservation_is_settled_once(budget_of: Callable[..., Budget], query: Callable[..., Any]) -> None:
    budget = budget_of(fraud=1000)
    reservation = await reserved(budget, "fraud", 900)

    await asyncio.gather(*(budget.settle(reservation, 300) for _ in range(3)))

    assert query("SELECT used_tokens FROM llm_budgets") == [(300,)]


async def test_a_call_that_used_more_than_it_reserved_is_counted_in_full(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    budget = budget_of(fraud=1000)

    await budget.settle(await reserved(budget, "fraud", 900), 1200)

    assert query("SELECT used_tokens FROM llm_budgets") == [(1200,)]
    assert await budget.reserve("fraud", 1) is None


async def test_workers_that_reserve_at_the_same_time_stay_within_the_limit(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    workers = [budget_of(fraud=1000) for _ in range(3)]
    sizes = (90, 70, 50, 30, 10) * 6

    granted = await asyncio.gather(*(workers[n % 3].reserve("fraud", size) for n, size in enumerate(sizes)))

    [(total,)] = query("SELECT sum(tokens)::bigint FROM llm_reservations")
    assert total == sum(reservation.tokens for reservation in granted if reservation)
    # The smallest one still fits wherever something is left.
    assert total == 1000


async def test_a_worker_that_waits_for_another_sees_what_that_one_reserved(
    budget_of: Callable[..., Budget], query: Callable[..., Any], until: Callable[..., Any], database: Database
) -> None:
    budget = budget_of(fraud=1000)
    async with database.transaction() as other:
        await other.run(queries("budget.sql")["lock_budgets"], {"budget_lock": BUDGET_LOCK, "keys": [FRAUD_LOCK]})
        waiting = asyncio.create_task(budget.reserve("fraud", 600))
        await until(lambda: query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        await other.run(
            "INSERT INTO llm_reservations SELECT gen_random_uuid(), 'fraud', "
            "(clock_timestamp() AT TIME ZONE 'UTC')::date, 600, clock_timestamp() + interval '1 hour'"
        )

    assert await waiting is None


async def test_one_that_does_not_fit_does_not_keep_the_next_from_fitting(budget_of: Callable[..., Budget]) -> None:
    budget = budget_of(fraud=1000)

    granted = await asyncio.gather(*(budget.reserve("fraud", tokens) for tokens in (700, 400, 300)))

    assert [reservation is not None for reservation in granted] == [True, False, True]


async def test_each_agent_has_a_budget_of_its_own_and_one_without_a_limit_has_none(
    budget_of: Callable[..., Budget],
) -> None:
    budget = budget_of(fraud=1000, sentiment=500)

    granted = await asyncio.gather(
        *(budget.reserve(agent, tokens) for agent, tokens in [("fraud", 1000), ("sentiment", 500), ("recovery", 1)])
    )

    assert [reservation is not None for reservation in granted] == [True, True, False]


async def test_what_a_killed_worker_reserved_counts_until_it_expires(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    await reserved(budget_of(fraud=1000), "fraud", 1000)
    budget = budget_of(fraud=1000)
    assert await budget.reserve("fraud", 1) is None

    query(EXPIRE)

    assert await budget.reserve("fraud", 1000)


async def test_a_call_that_ends_after_its_reservation_expired_is_counted_all_the_same(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    budget = budget_of(fraud=1000)
    reservation = await reserved(budget, "fraud", 800)
    query(EXPIRE)
    await reserved(budget, "fraud", 100)

    await budget.settle(reservation, 700)

    assert query("SELECT used_tokens FROM llm_budgets") == [(700,)]


async def test_what_was_used_yesterday_leaves_todays_limit_alone(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    query(f"INSERT INTO llm_budgets VALUES ('fraud', {YESTERDAY}, 1000)")
    query(
        f"INSERT INTO llm_reservations VALUES (gen_random_uuid(), 'fraud', {YESTERDAY}, 1000, "
        "clock_timestamp() + interval '1 hour')"
    )

    assert await budget_of(fraud=1000).reserve("fraud", 1000)


async def test_a_call_counts_for_the_day_it_was_reserved_on(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    budget = budget_of(fraud=1000)
    reservation = await reserved(budget, "fraud", 800)
    query(f"UPDATE llm_reservations SET day = {YESTERDAY}")

    await budget.settle(reservation, 700)

    assert query(f"SELECT day = {YESTERDAY}, used_tokens FROM llm_budgets") == [(True, 700)]


async def test_reservations_nobody_settles_are_forgotten_a_day_after_they_expired(
    budget_of: Callable[..., Budget], query: Callable[..., Any]
) -> None:
    budget = budget_of(fraud=1000)
    await reserved(budget, "fraud", 1)
    await reserved(budget, "fraud", 2)
    query("UPDATE llm_reservations SET expires_at = clock_timestamp() - interval '25 hours' WHERE tokens = 1")
    query("UPDATE llm_reservations SET expires_at = clock_timestamp() - interval '23 hours' WHERE tokens = 2")

    await reserved(budget, "fraud", 3)

    assert query("SELECT tokens FROM llm_reservations ORDER BY tokens") == [(2,), (3,)]


@pytest.mark.parametrize("tokens", [0, -1])
async def test_a_reservation_of_nothing_is_a_mistake(budget_of: Callable[..., Budget], tokens: int) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        await budget_of(fraud=1000).reserve("fraud", tokens)
