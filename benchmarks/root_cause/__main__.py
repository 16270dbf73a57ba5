"""`make root-cause`: root cause across services, on PetShop's training issues and on graphs of our own with faults.

    python -m benchmarks.root_cause --seeds 100-119 --missing 0.1 --wrong
    python -m benchmarks.root_cause --sandbox apache

For each subset: how often the culprit is named first, and among the first three; beside it chance (any service that the
alarmed one reaches) and a simple way (of these the one whose metric is the most times its normal). In another order of
arrival, and with every service called otherwise, the verdicts must be the same. With `--sandbox` PetShop is played on a
real worker, Kafka and PostgreSQL. Exits 1 when PetShop is named less often than `_ENOUGH` says, or an order of arrival
changes a verdict.

Seeds from 9000 on are never looked at while rules are written: they are for judging them at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from app.simulator.services import KINDS
from benchmarks.root_cause.playing import ARRIVALS, Played, play
from benchmarks.root_cause.questions import Story, of_graphs, of_petshop, renamed
from benchmarks.root_cause.report import Report
from benchmarks.root_cause.sandbox import play_on_a_sandbox

#: What PetShop's training issues have to reach: first, and among three.
_ENOUGH: Final = (0.95, 1.0)


def main() -> int:
    """Play everything and print what came of it; returns the exit code."""
    arguments = _arguments()
    petshop = list(of_petshop())
    if arguments.sandbox:
        played = play_on_a_sandbox(petshop, arguments.sandbox)
        return int(not _shown("PetShop on a sandbox", petshop, played, arguments.wrong, enough=_ENOUGH))
    played = [play(story.events) for story in petshop]
    is_good = _shown("PetShop, training issues", petshop, played, arguments.wrong, enough=_ENOUGH)
    is_good &= _is_the_same(petshop, played)
    if seeds := _seeds(arguments.seeds):
        kinds = arguments.kinds.split(",") if arguments.kinds else KINDS
        stories = list(of_graphs(seeds, missing=arguments.missing, unmeasured=arguments.unmeasured, kinds=kinds))
        title = (
            f"Graphs of our own, seeds {arguments.seeds}, {arguments.missing:.0%} of reports and calls missing,"
            f" {arguments.unmeasured:.0%} of metrics never measured"
        )
        _shown(title, stories, [play(story.events) for story in stories], arguments.wrong)
    return int(not is_good)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make root-cause", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", default="100-109", help="of our own graphs, separated by commas; 5-8 is a range")
    parser.add_argument("--missing", type=float, default=0.1, help="share of reports and of calls nobody tells of")
    parser.add_argument("--unmeasured", type=float, default=0.0, help="share of metrics that nobody measures at all")
    parser.add_argument("--kinds", help=f"some of {', '.join(KINDS)}, separated by commas")
    parser.add_argument("--wrong", action="store_true", help="print every alarm whose culprit was not named first")
    parser.add_argument("--sandbox", choices=["tansu", "apache"], help="play PetShop on a real worker with this broker")
    return parser.parse_args()


def _shown(
    title: str,
    stories: Sequence[Story],
    played: Sequence[Played],
    with_wrong: bool,
    *,
    enough: tuple[float, float] = (0.0, 0.0),
) -> bool:
    """Print the report; whether it reaches what is enough."""
    report = Report()
    for story, each in zip(stories, played, strict=True):
        report.take(story, each)
    print(f"\n{title}")
    for line in [*report.lines(), *(report.wrong if with_wrong else ())]:
        print(f"  {line}")
    total = report.total
    return total.top1 >= enough[0] and total.top3 >= enough[1]


def _is_the_same(stories: Sequence[Story], expected: Sequence[Played]) -> bool:
    """Print in how many stories another order of arrival, or other names, change the first three; whether in none."""
    changed = dict.fromkeys((*ARRIVALS[1:], "renamed"), 0)
    for number, (story, before) in enumerate(zip(stories, expected, strict=True)):
        alarms = [question.alarm_id for question in story.questions]
        for arrival in ARRIVALS[1:]:
            again = play(story.events, arrival, seed=number)
            changed[arrival] += any(again.named(each)[:3] != before.named(each)[:3] for each in alarms)
        other, names = renamed(story, number)
        again = play(other.events)
        changed["renamed"] += any(
            list(again.named(each)[:3]) != [names[name] for name in before.named(each)[:3]] for each in alarms
        )
    print(f"  of {len(stories)} verdicts are others: {', '.join(f'{name} {count}' for name, count in changed.items())}")
    return not any(changed.values())


def _seeds(text: str) -> Sequence[int]:
    found: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


if __name__ == "__main__":
    sys.exit(main())
