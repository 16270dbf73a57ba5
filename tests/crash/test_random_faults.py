"""Whatever is killed, frozen, cut or restarted, in whatever order: the promises hold.

pytest tests/crash --faults 200 [--seed S]
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from arena import Arena, SandboxError
from audit import audit
from faults import STEADY, THIRD, plan
from findings import Findings
from foreign import ForeignDisk
from injector import Injector
from load import Load
from settling import settle
from trades import SHOP, TRADES, Trade
from waiting import eventually
from witness import gather

from app.commands.replay import run_replay
from app.commands.replay_arguments import Asked
from app.settings import Settings


def kept(what: str, trade: Trade, *, fenced: bool) -> Path:
    """Where the document of a run lies; a plain and a fenced run may go on side by side."""
    which = "" if trade is SHOP else "-ci"
    return Path(f"var/crash-{what}{which}{'-fenced' if fenced else ''}.json")


@pytest.mark.apache
@pytest.mark.parametrize("trade", TRADES, indirect=True, scope="module")
@pytest.mark.timeout(0)  # it gives up when nothing moves, not when it takes long
def test_no_decision_is_lost_and_none_is_made_twice(
    request: pytest.FixtureRequest,
    make_arena: Callable[[int], Arena],
    say: Callable[[str], None],
    seed: int,
    fenced: bool,
    trade: Trade,
    loaded: Mapping[str, str],
    tmp_path: Path,
) -> None:
    faults = request.config.getoption("--faults")
    arena = make_arena(THIRD + 1)
    foreign = ForeignDisk(tmp_path / "foreign", seed=seed + 1, name="crash", trade=trade, settings=loaded)
    injector = Injector(arena, say, foreign)
    began_at = time.monotonic()
    for number in range(STEADY):
        arena.start(number)
    eventually(lambda: all(arena.ready(number) for number in range(STEADY)), what="the workers to become ready")
    say(f"seed {seed}: {faults} faults, {STEADY} workers and one that comes and goes")

    rate = request.config.getoption("--rate")
    with Load(arena.sandbox.kafka, seed=seed, name="crash", trade=trade, per_second=rate, transactional=True) as load:
        injector.run(plan(seed, faults))
        arena.heal()
        load.stop()
        say(f"the last fault is over, {len(load.acknowledged.ids)} events were sent")
        settle(arena, load)
    stuck = _stop_workers(arena)
    evidence = gather(arena.sandbox.kafka, arena.sandbox.database_url, [load.acknowledged], trade)
    troubles = arena.troubles()
    findings = audit(evidence, [*arena.disturbances, *troubles], fenced=fenced)
    replay_file = kept("replay", trade, fenced=fenced)
    replayed = replay(arena, replay_file)

    report = {
        "seed": seed,
        "seconds": round(time.monotonic() - began_at),
        "faults": sum(injector.counts.values()),
        "faults_by_kind": dict(sorted(injector.counts.items())),
        "commits_swallowed": arena.proxy.swallowed,
        "events": len(load.acknowledged.ids),
        "copies": load.acknowledged.copies,
        "broken": load.acknowledged.broken,
        "unsure": load.acknowledged.unsure,
        "transactions": load.transactions.ended if load.transactions is not None else {},
        "aborted": len(load.transactions.aborted) if load.transactions is not None else 0,
        "decisions": len(evidence.decisions),
        "agents": dict(sorted(Counter(row.agent for row in evidence.decisions).items())),
        "dead_letters": len(evidence.dead_rows),
        "messages": sum(len(row.messages) for row in evidence.decisions) + len(evidence.dead_rows),
        "refunds": len(evidence.refunds),
        "quarantines": len(evidence.quarantines),
        "quarantines_planted": len(evidence.to_quarantine),
        "failures_planted": len(evidence.to_refund),
        "failures_refunded": findings.failures_refunded,
        **totals(findings),
        "replayed": replayed["decisions"],
        "replay_different": replayed["different"],
        "unasked_exits": [asdict(one) for one in arena.exits],
        "stubborn": injector.stubborn,
        "publishing_troubles": len(troubles),
        "points_missed": injector.missed,
        "stuck": stuck,
        "broken_promises": {name: found[:5] for name, found in findings.broken().items()},
        "details": findings.details[:20],
    }
    write(report, kept("report", trade, fenced=fenced), say)
    again = f"run it again with --seed {seed} --faults {faults}{' --fenced' if fenced else ''}"
    assert not findings.broken(), again
    assert replayed["same"], f"{replay_file} says what differs; {again}"
    assert [one for one in arena.exits if not one.excused] == [], again
    assert stuck == "", again


def replay(arena: Arena, into: Path) -> Mapping[str, Any]:
    """Decide everything in the log again, with windows built from the log alone."""
    into.parent.mkdir(exist_ok=True)
    sandbox = arena.sandbox
    settings = Settings(
        _env_file=None,
        domains=(arena.trade.domains,),
        kafka_broker=sandbox.kafka,
        kafka_profile=sandbox.provider,
        database_url=sandbox.database_url,
    )
    return asyncio.run(run_replay(settings, Asked(), json_file=into))


def totals(findings: Findings) -> dict[str, int]:
    """The numbers everybody looks at first."""
    return {
        "lost": len(findings.undecided) + len(findings.unpublished) + len(findings.dropped),
        "doubled": len(findings.decided_twice),
        "order_violations": len(findings.out_of_order),
        "wrong_histories": len(findings.wrong_history),
        "refunds_over_captures": len(findings.refunds_over_captures),
        "ledger_unbalanced": len(findings.ledger_unbalanced),
        "repeats": findings.repeats,
    }


def _stop_workers(arena: Arena) -> str:
    """Who had to be killed although nothing was left to do: judged after the audit, which it changes nothing about."""
    try:
        arena.stop_workers()
    except SandboxError as error:
        return str(error)
    return ""


def write(report: Mapping[str, Any], into: Path, say: Callable[[str], None]) -> None:
    into.parent.mkdir(exist_ok=True)
    into.write_text(json.dumps(report, indent=2) + "\n")
    for name, value in report.items():
        shown = len(value) if name in {"unasked_exits", "details"} else value
        say(f"{name:21} {shown}")
