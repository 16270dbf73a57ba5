"""`make bench`: every measurement, one after another, into `var/bench.json` and `var/bench.md`.

    python -m benchmarks.run --only comparison,mix --runs 3

What is done is written at once, so a part that fails or is interrupted costs no other one; parts that were not run this
time stay as they were.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from benchmarks import (
    brains,
    comparison,
    entities,
    lost_windows,
    mix,
    outbox,
    pace,
    recovery,
    replay,
    throughput,
    windows,
)
from benchmarks.contenders import ours

DIRECTORY: Final = Path("var/bench").absolute()
JSON: Final = Path("var/bench.json")
MARKDOWN: Final = Path("var/bench.md")
#: What half of the load is where the comparison was not run: payments a second.
_HALF_LOAD: Final = 500.0
_SLOW_LOAD: Final = 60.0
_ORDERS: Final = 1_000
#: The checkout of another commit, set up, that the six agents are compared with:
#: `git worktree add var/bench-before COMMIT && make -C var/bench-before setup`.
BEFORE: Final = Path("var/bench-before")
ENTITIES: Final = (1_000, 100_000, 1_000_000)

#: What a part has found, as JSON and in markdown.
Found = tuple[Mapping[str, Any], str]


def compared(runs: int, _: Mapping[str, Any]) -> Found:
    """The variants."""
    found = comparison.summary(comparison.compare(DIRECTORY / "comparison", runs=runs))
    return found, comparison.both_tables(found)


def paced(_: int, before: Mapping[str, Any]) -> Found:
    """Idle, at sixty a second, and at half of what the comparison found."""
    full = before.get("comparison", {}).get("medians", {}).get(comparison.OURS, {}).get("full", {})
    half = full.get("events_per_second", 2 * _HALF_LOAD) / 2
    resting, found = pace.measure(DIRECTORY / "pace", [_SLOW_LOAD, half])
    rows = [dataclasses.asdict(one) for one in found]
    told = [_table(rows), _table([dataclasses.asdict(resting)])]
    return {"idle": dataclasses.asdict(resting), "paced": rows}, "\n\n".join(told)


def mixed(runs: int, _: Mapping[str, Any]) -> Found:
    """Six agents, and those of another checkout where there is one, in turns."""
    found = []
    for run in range(runs):
        for checkout in filter(Path.exists, (Path(), BEFORE)):
            one = dataclasses.asdict(mix.measure(DIRECTORY / f"mix-{run}", _ORDERS, checkout))
            found.append({"checkout": str(checkout), **one})
    return {"runs": found}, _table(found)


def with_many(_: int, __: Mapping[str, Any]) -> Found:
    """A thousand, a hundred thousand and a million full windows."""
    found = [dataclasses.asdict(entities.measure(DIRECTORY / "entities", count)) for count in ENTITIES]
    return {"entities": found}, _table(found)


def grown(_: int, __: Mapping[str, Any]) -> Found:
    """What goes into the changelog with windows of 50 and of 500."""
    found = []
    for events in (50, 500):
        choice = ours(settings={"WINDOW_EVENTS": str(events)})
        measured = throughput.measure(choice, DIRECTORY / f"windows-{events}", full=2_000, customers=100)["full"]
        found.append({"window_events": events, "changelog_bytes_per_event": measured.changelog_bytes_per_event})
    return {"windows": found}, _table(found)


def read_back(_: int, __: Mapping[str, Any]) -> Found:
    """A lost window table."""
    found = dataclasses.asdict(lost_windows.measure(DIRECTORY / "lost"))
    return found, _table([found])


def parts_alone(_: int, __: Mapping[str, Any]) -> Found:
    """Parts by themselves: windows, their recovery, outbox, asking a model, replay; they print."""

    async def all_of_them() -> None:
        for part in (windows, recovery, outbox, brains, replay):
            await part.measure()

    asyncio.run(all_of_them())
    return {}, ""


#: In this order: the pace goes by what the comparison found.
PARTS: Final[Mapping[str, Callable[[int, Mapping[str, Any]], Found]]] = MappingProxyType(
    {
        "comparison": compared,
        "pace": paced,
        "mix": mixed,
        "growth": grown,
        "entities": with_many,
        "lost_windows": read_back,
        "alone": parts_alone,
    }
)


def _table(rows: list[dict[str, Any]]) -> str:
    heads = [name.replace("_", " ") for name in rows[0]]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(_cell(value) for value in row.values())} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> int:
    """Run the parts asked for; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--runs", type=int, default=comparison.RUNS)
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.only.split(","):
        known = orjson.loads(JSON.read_bytes()) if JSON.exists() else {}
        try:
            found, told = PARTS[name](arguments.runs, known)
        except Exception:  # noqa: BLE001 - the other parts are measured all the same
            traceback.print_exc()
            failed = 1
            continue
        known[name] = {**found, "markdown": told}
        JSON.parent.mkdir(exist_ok=True)
        JSON.write_bytes(orjson.dumps(known, option=orjson.OPT_INDENT_2))
        MARKDOWN.write_text("".join(f"## {part}\n\n{each['markdown']}\n\n" for part, each in known.items()))
        print(f"\n## {name}\n\n{told}", flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
