"""Fraud on simulated shops: what the rules make of each payment, against the simulator's own truth.

Run as a program with the number of unusual orders and seeds, it prints the lines of `docs/fraud.md`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from choreography import Choreography
from shop_catalogue import AGENTS

from agents.shop.events import PaymentSucceeded
from app.simulator import simulate

#: None of them was looked at while the rules were written.
SEEDS = (9301, 9302)


def measured(seed: int, orders: int, unusual: int) -> Counter[tuple[str, str]]:
    """How many payments, stolen and honest, got which verdict; each payment once."""
    start = datetime(2024, 5, 1, tzinfo=UTC)
    told = simulate(seed=seed, orders=orders, failures=orders // 10, start=start, unusual=unusual)
    played = Choreography(agents=[AGENTS["fraud"]]).run(told.records)
    verdicts: dict[str, str] = {}
    for key, decision in played.decisions.items():
        payment = played.histories[key].received.data
        assert isinstance(payment, PaymentSucceeded)
        verdicts.setdefault(payment.payment_id, decision.outcome)
    return Counter(("stolen" if name in told.stolen else "honest", verdict) for name, verdict in verdicts.items())


@pytest.mark.parametrize("unusual", [0, 90])
@pytest.mark.parametrize("seed", SEEDS)
def test_stolen_cards_and_accounts_are_caught_and_no_honest_payment_is_blocked(seed: int, unusual: int) -> None:
    counted = measured(seed, 300, unusual)

    stolen = sum(count for (whose, _), count in counted.items() if whose == "stolen")
    assert stolen >= 10
    assert counted["stolen", "approve"] <= 0.05 * stolen
    assert counted["honest", "block"] == 0
    assert counted["honest", "review"] <= 0.03 * counted["honest", "approve"]


def lines(seeds: Sequence[int], orders: int, unusual: int) -> list[str]:
    """One line of a table for each seed, and the sum."""
    counts = {str(seed): measured(seed, orders, unusual) for seed in seeds}
    counts["all"] = sum(counts.values(), Counter[tuple[str, str]]())
    columns = [(whose, verdict) for whose in ("stolen", "honest") for verdict in ("block", "review", "approve")]
    return [f"| {name} | {' | '.join(str(found[column]) for column in columns)} |" for name, found in counts.items()]


if __name__ == "__main__":
    told_unusual, *told_seeds = (int(each) for each in sys.argv[1:])
    sys.stdout.write("\n".join([*lines(told_seeds, 1000, told_unusual), ""]))
