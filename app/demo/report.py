"""Report: what a demo came to, read from Kafka and PostgreSQL themselves and compared with the truth."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from app.commands.replay import run_replay
from app.commands.replay_arguments import Asked
from app.demo.checker import Findings, check
from app.demo.evidence import (
    AGENTS_SOURCE,
    booked,
    committed_decisions,
    count_brains,
    count_dead_letters,
    published_messages,
)
from app.demo.judgment import judge
from app.demo.observation import SHOP, Observation
from app.demo.scoring import score
from app.sandbox import Sandbox
from app.settings import Settings
from app.simulator import Simulation
from tables.event import to_json


async def report_on(
    sandbox: Sandbox, observed: Observation, simulation: Simulation, *, replay_file: Path
) -> tuple[Mapping[str, Any], Findings]:
    """Check the promises, score the agents and replay the log; the worker must have ended.

    What the replay came to is written to `replay_file`, as JSON.
    """
    decided, committed_at = await asyncio.to_thread(committed_decisions, sandbox.database_url)
    published = await published_messages(sandbox.kafka, SHOP.topics, source=AGENTS_SOURCE)
    findings = check(due=observed.due, decided=decided, published=published)
    scored = score(
        truth=simulation.truth,
        captures=simulation.captures,
        published=[orjson.loads(to_json(event)) for event in observed.published],
        unusual=simulation.unusual,
    )
    judged = judge(simulation, (orjson.loads(to_json(event)) for event in observed.events.values()))
    ledger = await asyncio.to_thread(booked, sandbox.database_url)
    is_booked = ledger.refunded_minor == ledger.posted_minor and not ledger.unbalanced
    brains, fallbacks = await asyncio.to_thread(count_brains, sandbox.database_url)
    replayed = await run_replay(settings_of(sandbox), Asked(), json_file=replay_file)
    delays = sorted(
        1000 * (seen - committed_at[message_id])
        for (_, message_id), seen in observed.seen_at.items()
        if message_id in committed_at
    )
    report = {
        "provider": sandbox.provider,
        "events_in": observed.events_in,
        "decisions": len(decided),
        "brains": brains,
        "fallbacks": fallbacks,
        "messages_published": len(published),
        "duplicates": findings.duplicates,
        "lost": findings.lost,
        "dead_letters": await asyncio.to_thread(count_dead_letters, sandbox.database_url),
        "commit_to_publish_ms_p50": _percentile(delays, 0.50),
        "commit_to_publish_ms_p99": _percentile(delays, 0.99),
        "failures": judged.verdicts.errors,
        "root_cause_top1": judged.verdicts.top1,
        "root_cause_top3": judged.verdicts.top3,
        "false_confidence": judged.verdicts.false_confidence,
        "calibration": {tenth: dataclasses.asdict(each) for tenth, each in judged.calibration.items()},
        "recovery_correct": scored.recovery_correct,
        "recovery": judged.recovery,
        "by_itself": judged.by_itself,
        "unescalated": judged.unescalated,
        "fraud": dataclasses.asdict(judged.fraud),
        "tone_violations": judged.tone_violations,
        "packed_unpaid": judged.packed_unpaid,
        "owed": judged.owed,
        "given_back": judged.given_back,
        "over_refunds": judged.over_refunds,
        "refunds": ledger.refunds,
        "ledger_balanced": is_booked and scored.ledger_balanced,
        "refunds_over_captures": max(ledger.over, scored.refunds_over_captures),
        "replayed": replayed["decisions"],
        "replay_same": replayed["same"],
        "mistakes": [*scored.money_mistakes, *scored.recovery_mistakes, *judged.wrong],
        "broken_promises": [*findings.examples(), *_differences(replayed, replay_file)],
    }
    return report, findings


def settings_of(sandbox: Sandbox) -> Settings:
    """What a replay needs to reach the services of a sandbox."""
    return Settings(
        _env_file=None,
        kafka_broker=sandbox.kafka,
        kafka_profile=sandbox.provider,
        database_url=sandbox.database_url,
    )


def _differences(replayed: Mapping[str, Any], replay_file: Path) -> Sequence[str]:
    if replayed["same"]:
        return ()
    return [f"a replay of the log differs in {replayed['different']} of {replayed['decisions']}: see {replay_file}"]


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
