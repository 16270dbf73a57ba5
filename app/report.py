"""Report: what a demo came to, read from Kafka and PostgreSQL themselves and compared with the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.checker import Findings, check
from app.evidence import AGENTS_SOURCE, booked, committed_decisions, count_dead_letters, published_messages
from app.sandbox import Sandbox
from app.scoring import score
from app.settings import DOMAIN_TOPICS
from app.simulator import Simulation
from app.story import Story
from tables.event import to_json


async def report_on(sandbox: Sandbox, story: Story, simulation: Simulation) -> tuple[Mapping[str, Any], Findings]:
    """Check the promises and score the agents; the worker must have ended."""
    decided, committed_at = await asyncio.to_thread(committed_decisions, sandbox.database_url)
    published = await published_messages(sandbox.kafka, DOMAIN_TOPICS, source=AGENTS_SOURCE)
    findings = check(due=story.due, decided=decided, published=published)
    scored = score(
        truth=simulation.truth,
        captures=simulation.captures,
        published=[orjson.loads(to_json(event)) for event in story.published],
    )
    ledger = await asyncio.to_thread(booked, sandbox.database_url)
    is_booked = ledger.refunded_minor == ledger.posted_minor and not ledger.unbalanced
    delays = sorted(
        1000 * (seen - committed_at[message_id])
        for message_id, seen in story.seen_at.items()
        if message_id in committed_at
    )
    report = {
        "provider": sandbox.provider,
        "events_in": story.events_in,
        "decisions": len(decided),
        "messages_published": len(published),
        "duplicates": findings.duplicates,
        "lost": findings.lost,
        "dead_letters": await asyncio.to_thread(count_dead_letters, sandbox.database_url),
        "commit_to_publish_ms_p50": _percentile(delays, 0.50),
        "commit_to_publish_ms_p99": _percentile(delays, 0.99),
        "failures": len(simulation.truth),
        "root_cause_top1": scored.root_cause_top1,
        "root_cause_top3": scored.root_cause_top3,
        "recovery_correct": scored.recovery_correct,
        "refunds": ledger.refunds,
        "ledger_balanced": is_booked and scored.ledger_balanced,
        "refunds_over_captures": max(ledger.over, scored.refunds_over_captures),
        "mistakes": [*map(str, scored.mistakes), *scored.recovery_mistakes, *scored.money_mistakes],
        "broken_promises": list(findings.examples()),
    }
    return report, findings


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
