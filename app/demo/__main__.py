"""The demo: a shop's orders on services of its own, what the agents make of them, and proof that nothing was lost.

Run as `make demo`, or `make demo LLM=scripted` with a model that misbehaves. Exits 1 when a promise is broken, and when
more was given back than was owed; never because an agent judged wrongly otherwise. The report is in
`var/demo-report.json`, the case file of one failure in `var/demo-case.html`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console

from app.demo.case import CASE_FILE, write_case
from app.demo.evidence import AGENTS_SOURCE
from app.demo.observation import Observation, observe, of_correlation
from app.demo.report import report_on
from app.demo.screen import Screen, said
from app.demo.telling import choreography
from app.sandbox import Sandbox, SandboxError
from app.sandbox.worker_process import WorkerProcess
from app.scripted_model.process import scripted_model
from app.simulator import Simulation, simulated_until_now
from app.simulator.unusual import TALES
from app.worker.signals import end_in_order
from tables.event import Event

DIRECTORY: Final = Path("var/demo")
REPORT: Final = Path("var/demo-report.json")
#: What a replay of the demo's log came to.
REPLAY: Final = Path("var/demo-replay.json")
#: Mistakes shown on the screen; all of them are in the report.
MISTAKES_SHOWN: Final = 3
#: What the screen shows of the report, unless all of it is asked for: what was promised, and how well it was judged.
WHAT_MATTERS: Final = (
    "events_in",
    "decisions",
    "brains",
    "fallbacks",
    "messages_published",
    "dead_letters",
    "commit_to_publish_ms_p99",
    "root_cause_top1",
    "root_cause_top3",
    "false_confidence",
    "recovery_correct",
    "by_itself",
    "owed",
    "given_back",
    "over_refunds",
    "ledger_balanced",
    "refunds_over_captures",
    "replayed",
    "replay_same",
)


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="same seed, same orders")
    parser.add_argument("--orders", type=int, default=220)
    parser.add_argument(
        "--failures",
        type=int,
        default=40,
        help="how many errors occur in them: failing and unusual orders are half of all at most",
    )
    parser.add_argument("--unusual", type=int, help="how many orders are unusual beside those; each kind once without")
    parser.add_argument("--provider", choices=("tansu", "apache"), default="tansu", help="which Kafka broker")
    parser.add_argument(
        "--llm", choices=("scripted",), help="ask a scripted model that misbehaves; rules alone without"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show everything the agents say, line by line, and the whole report"
    )
    arguments = parser.parse_args()
    end_in_order()
    console = Console(highlight=False)
    try:
        unusual = arguments.unusual
        if unusual is None:
            unusual = max(0, min(len(TALES), arguments.orders // 2 - arguments.failures))
        simulation = simulated_until_now(
            seed=arguments.seed, orders=arguments.orders, failures=arguments.failures, unusual=unusual
        )
        with _model(arguments.llm, arguments.seed) as settings:
            return _run(arguments.provider, settings, simulation, console, verbose=arguments.verbose)
    except (SandboxError, ValueError) as error:
        console.print(f"innervate: {error}", style="bold red")
        return 1


def _model(llm: str | None, seed: int) -> AbstractContextManager[Mapping[str, str]]:
    """The model to ask, when there is one; gives the settings of the worker."""
    return nullcontext({}) if llm is None else scripted_model(DIRECTORY / "model", seed=seed)


def _run(provider: str, settings: Mapping[str, str], simulation: Simulation, console: Console, *, verbose: bool) -> int:
    with (
        console.status("starting PostgreSQL and Kafka") as status,
        Sandbox(DIRECTORY, provider) as sandbox,
    ):
        status.update("starting the worker: faust -A app worker -l info")
        worker = WorkerProcess(sandbox, (DIRECTORY / "worker").absolute(), settings)
        worker.log_path.unlink(missing_ok=True)
        try:
            worker.start()
            status.stop()
            console.print(f"worker ready at {worker.url}; log in {worker.log_path}")
            with Screen(console, total=len(simulation.records), verbose=verbose) as screen:
                observed = asyncio.run(observe(sandbox, simulation.records, screen))
            worker.stop()
            report, findings = asyncio.run(report_on(sandbox, observed, simulation, replay_file=REPLAY))
            failure = _failure(observed, simulation.unusual)
            if failure is not None:
                asyncio.run(write_case(sandbox, str(failure.data["order_id"])))
        finally:
            worker.release()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    console.rule("what the agents said")
    console.print(said(screen.said))
    if failure is not None and failure.correlationid is not None:
        console.rule(f"one payment and what followed from it: {failure.correlationid}")
        story = choreography(of_correlation(observed.events, failure.correlationid))
        console.print(story, no_wrap=True, overflow="ellipsis")
    _show(report, console, verbose=verbose)
    if failure is not None:
        console.print(f"the case file of one failure, to open in a browser: {CASE_FILE}")
    over = report["refunds_over_captures"] or report["over_refunds"]
    is_good = report["ledger_balanced"] and not over and report["replay_same"]
    return 0 if is_good and not findings.broken else 1


def _failure(observed: Observation, unusual: AbstractSet[str]) -> Event | None:
    """What is told of one order that went wrong: that it was refunded, or why, or else that it was paid."""
    wanted = ("RefundIssued", "RootCauseIdentified", "PaymentSucceeded")
    found = (event for kind in wanted for event in _caused_by_an_error(observed, kind, unusual))
    return next((event for event in found if event.data.get("order_id")), None)


def _caused_by_an_error(observed: Observation, kind: str, unusual: AbstractSet[str]) -> list[Event]:
    failed = {event.correlationid for event in observed.events.values() if event.type == "ErrorOccurred"}
    told = (event for event in observed.events.values() if event.type == kind and event.correlationid in failed)
    # Support gives money back as well.
    found = [event for event in told if kind != "RefundIssued" or event.source.startswith(AGENTS_SOURCE)]
    # The same story in every run, whichever was seen first; how news meets decides more in an unusual one.
    return sorted(found, key=lambda event: (event.correlationid in unusual, event.correlationid or ""))


def _show(report: Mapping[str, Any], console: Console, *, verbose: bool) -> None:
    console.rule("report")
    for name, value in report.items():
        if not isinstance(value, list) and (verbose or name in WHAT_MATTERS):
            console.print(f"{name:28} {_counts(value) if isinstance(value, Mapping) else value}", highlight=False)
    mistakes = report["mistakes"]
    shown = mistakes if verbose else mistakes[:MISTAKES_SHOWN]
    for line in shown:
        console.print(line, style="yellow")
    if len(shown) < len(mistakes):
        console.print(f"and {len(mistakes) - len(shown)} more misjudged, in {REPORT}", style="yellow")
    for line in report["broken_promises"]:
        console.print(line, style="bold red")
    console.print(f"\nlost {report['lost']} duplicates {report['duplicates']}", style="bold")


def _counts(counts: Mapping[str, Any]) -> str:
    told = (f"{name} {_brief(count) if isinstance(count, Mapping) else count}" for name, count in counts.items())
    return ", ".join(told) or "none"


def _brief(counts: Mapping[str, Any]) -> str:
    """Several numbers of one name: `3 right`."""
    return " ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


if __name__ == "__main__":
    sys.exit(main())
