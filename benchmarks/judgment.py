"""`make judgment`: how well the agents of the shop judge, in process: simulated shops, played and scored.

    python -m benchmarks.judgment --orders 2000 --seeds 1,2,3 --wrong

Seeds from 9000 on are never looked at while rules are written: they are for judging them at the end.

No Kafka, no PostgreSQL: router, windows and agents are the worker's own. The result is a table for a person, JSON with
`--json`, and with `--wrong` every wrong case, one a line. Exits 1 when more was given back than is owed.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from agents.model.catalogue import Catalogue
from agents.shop import shop
from app.demo.judgment import LEFT, RIGHT, WRONG, Judgment, judge
from app.simulator import simulate
from app.testing.choreography import Choreography

_START: Final = datetime(2024, 5, 1, tzinfo=UTC)
_SHOP: Final = Catalogue([shop])


def main() -> int:
    """Play each seed and print what came of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make judgment", description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--failures", type=int, help="how many errors occur in them; a fifth of the orders without")
    parser.add_argument("--unusual", type=int, help="how many orders are unusual; a fifth of the orders without")
    parser.add_argument("--seeds", default="1,2,3", help="separated by commas; 5-8 is a range")
    parser.add_argument("--json", type=Path, help="write everything here as JSON")
    parser.add_argument("--wrong", action="store_true", help="print every wrong case")
    arguments = parser.parse_args()
    failures = arguments.orders // 5 if arguments.failures is None else arguments.failures
    unusual = arguments.orders // 5 if arguments.unusual is None else arguments.unusual
    found = {seed: played(seed, arguments.orders, failures, unusual) for seed in _seeds(arguments.seeds)}
    for seed, judgment in found.items():
        _show(seed, judgment)
        for line in judgment.wrong if arguments.wrong else ():
            print(f"    {line}")
    _show_recovery(list(found.values()))
    if arguments.json:
        content = {str(seed): dataclasses.asdict(judgment) for seed, judgment in found.items()}
        arguments.json.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return int(any(judgment.over_refunds for judgment in found.values()))


def played(seed: int, orders: int, failures: int, unusual: int) -> Judgment:
    """The story of this seed, played in memory and judged."""
    story = simulate(seed=seed, orders=orders, failures=failures, start=_START, unusual=unusual)
    told = Choreography(catalogue=_SHOP).run(story.records)
    return judge(story, map(orjson.loads, told.log))


def _seeds(text: str) -> Sequence[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _show(seed: int, judgment: Judgment) -> None:
    verdicts, fraud = judgment.verdicts, judgment.fraud
    print(f"\nseed {seed}")
    rows = {
        "owed": _money(judgment.owed),
        "given_back": _money(judgment.given_back),
        "over_refunds": judgment.over_refunds,
        "root_cause_top1": f"{verdicts.top1:.4f} of {verdicts.errors} errors",
        "root_cause_top3": f"{verdicts.top3:.4f}",
        "false_confidence": f"{verdicts.false_confidence:.4f}",
        "by_itself": f"{judgment.by_itself:.4f}",
        "unescalated": judgment.unescalated,
        "fraud": f"caught {fraud.caught}, missed {fraud.missed}, honest reviewed {fraud.honest_reviewed},"
        f" honest blocked {fraud.honest_blocked}",
        "tone_violations": judgment.tone_violations,
        "packed_unpaid": judgment.packed_unpaid,
        "escalations": f"{judgment.escalations}, {judgment.wave_escalations} of the orders one deployment hit",
    }
    for name, value in rows.items():
        print(f"  {name:18} {value}")
    for tenth, each in judgment.calibration.items():
        print(
            f"  claimed {tenth}…       {each.verdicts:5} verdicts, claimed {each.claimed:.3f}, right {each.right:.3f}"
        )


def _show_recovery(judgments: Sequence[Judgment]) -> None:
    totals: dict[str, Counter[str]] = {}
    for judgment in judgments:
        for kind, counts in judgment.recovery.items():
            totals.setdefault(kind, Counter()).update(counts)
    print(f"\n  {'recovery by kind':40} {RIGHT:>8} {LEFT:>16} {WRONG:>8}")
    for kind, each in sorted(totals.items()):
        print(f"  {kind:40} {each[RIGHT]:8} {each[LEFT]:16} {each[WRONG]:8}")


def _money(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{minor} {currency}" for currency, minor in sorted(amounts.items())) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
