"""Every budget of tokens keeps the same rules: the one on PostgreSQL, a replay's, and the fake of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from interviews import Budget as FakeBudget

from agents.brains.interview import Budget
from app.timemachine.model_decider import TokenLimit
from outbox.budget import Budget as PostgresBudget
from outbox.budget import Reservation
from outbox.database import Database
from outbox.errors import DatabaseUnavailable

#: Nobody listens there.
NOWHERE = "postgresql://127.0.0.1:1/none"

BudgetOf = Callable[..., Budget]


@pytest.fixture
def on_postgres(closing: AsyncExitStack, pool_of: Callable[[str], Database]) -> Callable[..., Budget]:
    """Budgets on a database, with these limits by agent."""

    def build(url: str, **limits: int) -> Budget:
        budget = PostgresBudget(pool_of(url), limits)
        closing.push_async_callback(budget.stop)
        return budget

    return build


@pytest.fixture(params=["fake", "replay", "postgresql"])
def budget_of(request: pytest.FixtureRequest, on_postgres: Callable[..., Budget]) -> BudgetOf:
    """A budget with these limits, by agent; that of a replay has one for all agents."""
    url: str = request.getfixturevalue("database_url") if request.param == "postgresql" else NOWHERE

    def build(**limits: int) -> Budget:
        if request.param == "fake":
            return FakeBudget(limits)
        return TokenLimit(sum(limits.values())) if request.param == "replay" else on_postgres(url, **limits)

    return build


async def reserved(budget: Budget, tokens: int) -> Reservation:
    reservation = await budget.reserve("fraud", tokens)
    assert reservation is not None
    assert (reservation.agent, reservation.tokens) == ("fraud", tokens)
    return reservation


async def test_what_is_reserved_is_taken_from_the_limit(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)

    await reserved(budget, 600)

    assert await budget.reserve("fraud", 401) is None
    await reserved(budget, 400)
    assert await budget.reserve("fraud", 1) is None


async def test_what_was_used_takes_the_place_of_what_was_reserved(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)

    await budget.settle(await reserved(budget, 900), 300)

    assert await budget.reserve("fraud", 701) is None
    await reserved(budget, 700)


async def test_what_was_not_used_at_all_is_given_back(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)

    await budget.settle(await reserved(budget, 900), 0)

    await reserved(budget, 1000)


async def test_a_reservation_is_settled_once(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)
    reservation = await reserved(budget, 900)

    await budget.settle(reservation, 300)
    await asyncio.gather(*(budget.settle(reservation, used) for used in (0, 300, 1000)))

    assert await budget.reserve("fraud", 701) is None
    await reserved(budget, 700)


async def test_reservations_of_one_size_are_settled_apart(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)
    first, second = await reserved(budget, 400), await reserved(budget, 400)
    assert first.id != second.id

    await budget.settle(first, 100)
    await budget.settle(second, 200)

    assert await budget.reserve("fraud", 701) is None
    await reserved(budget, 700)


async def test_a_call_that_used_more_than_it_reserved_is_counted_in_full(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)

    await budget.settle(await reserved(budget, 500), 800)

    assert await budget.reserve("fraud", 201) is None
    await reserved(budget, 200)


async def test_a_call_that_used_more_than_there_is_leaves_nothing(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)

    await budget.settle(await reserved(budget, 500), 5000)

    assert await budget.reserve("fraud", 1) is None


async def test_of_those_that_come_together_as_many_are_granted_as_fit(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)

    granted = await asyncio.gather(*(budget.reserve("fraud", tokens) for tokens in (700, 400, 300)))

    assert [each is not None for each in granted] == [True, False, True]


@pytest.mark.parametrize("tokens", [0, -1])
async def test_a_reservation_of_nothing_is_a_mistake(budget_of: BudgetOf, tokens: int) -> None:
    with pytest.raises(ValueError, match=str(tokens)):
        await budget_of(fraud=1000).reserve("fraud", tokens)


async def test_a_call_that_used_less_than_nothing_is_a_mistake(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000)
    reservation = await reserved(budget, 900)

    with pytest.raises(ValueError, match="-1"):
        await budget.settle(reservation, -1)


@pytest.mark.parametrize("budget_of", ["fake", "postgresql"], indirect=True)
async def test_each_agent_has_a_budget_of_its_own_and_one_without_a_limit_has_none(budget_of: BudgetOf) -> None:
    budget = budget_of(fraud=1000, incident=500)

    asked = [("fraud", 1000), ("incident", 501), ("incident", 500), ("recovery", 1)]
    granted = [await budget.reserve(agent, tokens) for agent, tokens in asked]

    assert [each is not None for each in granted] == [True, False, True, False]


async def test_without_a_limit_nothing_is_granted(budget_of: BudgetOf) -> None:
    assert await budget_of().reserve("fraud", 1) is None


@pytest.mark.parametrize("kind", ["fake", "postgresql"])
async def test_while_postgresql_is_away_nothing_is_granted_or_counted(
    kind: str, on_postgres: Callable[..., Budget]
) -> None:
    budget = FakeBudget(limits={"fraud": 1000}, outages=2) if kind == "fake" else on_postgres(NOWHERE, fraud=1000)

    with pytest.raises(DatabaseUnavailable):
        await budget.reserve("fraud", 1000)
    with pytest.raises(DatabaseUnavailable):
        await budget.settle(Reservation(id="2c1f6f4c-0000-4000-8000-000000000000", agent="fraud", tokens=5), 5)
    # What no database is needed for is known all the same.
    assert await budget.reserve("fraud", 1001) is None
