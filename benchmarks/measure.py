"""How things are measured: alternating runs, medians, ratios."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

RUNS = 5


async def rates(contenders: Mapping[str, Callable[[], Awaitable[int]]], *, runs: int = RUNS) -> dict[str, float]:
    """Median operations per second of each contender; each one does some work and returns how many operations it was.

    The contenders take turns, so that a noisy moment of the machine hits all of them.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, work in contenders.items():
            began = time.perf_counter()
            operations = await work()
            found[name].append(operations / (time.perf_counter() - began))
            await asyncio.sleep(0)
    return {name: statistics.median(values) for name, values in found.items()}


def report(title: str, unit: str, found: Mapping[str, float]) -> None:
    """Print each contender and its ratio to the first."""
    print(f"\n{title}")
    first = next(iter(found.values()))
    for name, rate in found.items():
        print(f"  {name:44} {rate:>12,.0f} {unit}   {rate / first:6.2f} x")
