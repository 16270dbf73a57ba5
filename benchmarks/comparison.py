"""Comparison: this system beside the other variants, taking turns, several runs each; medians and ratios.

    python -m benchmarks.comparison --runs 3

Every run has fresh services, so that nobody inherits anything.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from benchmarks.contenders import VARIANTS
from benchmarks.throughput import CUSTOMERS, Measured, measure

#: The numbers that are compared, with their headings.
SHOWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "events_per_second": "events/s",
        "cpu_us_per_event": "CPU µs per event",
        "statements_per_decision": "statements",
        "commits_per_decision": "commits",
        "wal_bytes_per_decision": "WAL bytes",
        "changelog_bytes_per_event": "changelog bytes",
        "peak_memory_mb": "peak MB",
    }
)
RUNS: Final = 3
OURS: Final = "ours"


class Load(NamedTuple):
    """How much a variant is given."""

    empty: int
    full: int
    #: A list in a table costs the same whoever's it is, so the slow one has fewer customers to fill.
    customers: int = CUSTOMERS


LOADS: Final[Mapping[str, Load]] = MappingProxyType(
    {
        OURS: Load(10_000, 20_000),
        "hand_written": Load(10_000, 20_000),
        "quix": Load(10_000, 20_000),
        "quix_same_guarantee": Load(10_000, 20_000),
        "plain_faust": Load(1_000, 3_000, customers=200),
    }
)

Runs = Mapping[str, Mapping[str, Sequence[Measured]]]


def compare(directory: Path, *, runs: int = RUNS, variants: Sequence[str] = tuple(LOADS), share: float = 1.0) -> Runs:
    """Every run of every variant, by variant and windows (`empty`, `full`); `share` of the loads."""
    found: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for run in range(runs):
        for name in variants:
            load = LOADS[name]
            measured = measure(
                VARIANTS[name](),
                directory / f"{name}-{run}",
                empty=round(load.empty * share),
                full=round(load.full * share),
                customers=round(load.customers * share),
            )
            for windows, one in measured.items():
                found[name][windows].append(one)
                print(f"{name} {windows}: {_told(one)}", file=sys.stderr, flush=True)
    return found


def _told(one: Measured) -> str:
    return f"{one.events_per_second:,.0f} events/s, {one.cpu_us_per_event:,.0f} µs of CPU per event"


def medians(runs: Sequence[Measured]) -> dict[str, float]:
    """The median of each number that is compared."""
    return {name: statistics.median(getattr(one, name) for one in runs) for name in SHOWN}


def summary(runs: Runs) -> dict[str, Any]:
    """Medians, and the ratios of ours to each."""
    middle = {name: {windows: medians(each) for windows, each in of.items()} for name, of in runs.items()}
    ratios: dict[str, dict[str, dict[str, float]]] = {}
    for name, of in middle.items():
        if name == OURS or OURS not in middle:
            continue
        ratios[name] = {
            windows: {
                "throughput": round(middle[OURS][windows]["events_per_second"] / numbers["events_per_second"], 2),
                "cpu": round(numbers["cpu_us_per_event"] / middle[OURS][windows]["cpu_us_per_event"], 2),
                "wal": round(middle[OURS][windows]["wal_bytes_per_decision"] / numbers["wal_bytes_per_decision"], 2),
            }
            for windows, numbers in of.items()
        }
    every = {
        name: {windows: [dataclasses.asdict(one) for one in each] for windows, each in of.items()}
        for name, of in runs.items()
    }
    return {"medians": middle, "ratios": ratios, "runs": every}


def table(found: Mapping[str, Any], windows: str) -> str:
    """The medians and ratios as a table in markdown."""
    lines = [
        f"| windows {windows} | {' | '.join(SHOWN.values())} | ours ÷ it: throughput, per CPU |",
        "|---" * (len(SHOWN) + 2) + "|",
    ]
    for name, of in found["medians"].items():
        cells = [_cell(of[windows][number]) for number in SHOWN]
        ratio = found["ratios"].get(name, {}).get(windows)
        told = f"{ratio['throughput']}, {ratio['cpu']}" if ratio else ""
        lines.append(f"| {name} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines)


def _cell(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.4g}"


def both_tables(found: Mapping[str, Any]) -> str:
    """The tables of empty and of full windows."""
    return "\n\n".join(table(found, windows) for windows in ("empty", "full"))


def main(compared: Callable[..., Runs] = compare) -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.comparison", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--variants", default=",".join(LOADS), help="separated by commas")
    parser.add_argument("--share", type=float, default=1.0, help="of the payments and customers of each")
    parser.add_argument("--json", type=Path, help="write everything there")
    arguments = parser.parse_args()
    directory = Path("var/bench/comparison").absolute()
    runs = compared(directory, runs=arguments.runs, variants=arguments.variants.split(","), share=arguments.share)
    found = summary(runs)
    print(both_tables(found))
    if arguments.json is not None:
        arguments.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
