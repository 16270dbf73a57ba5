"""Verdicts across services, as decisions keep them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.model.catalogue import Catalogue
from agents.platform import platform
from app.reads.causes import verdicts
from outbox.database import Database
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


async def test_the_newest_verdict_on_each_alarm_is_told_with_the_way_to_its_cause(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    told = [
        ("e-1", "CauseSuggested", '{"service": "web", "suggested_by": "api"}'),
        ("e-2", "CauseSuggested", '{"service": "api", "suggested_by": "store"}'),
        ("e-3", "RootCauseIdentified", verdict("other", 0.4)),
        ("e-4", "RootCauseIdentified", verdict("store", 0.7)),
        ("e-5", "RootCauseIdentified", verdict("store", 0.9)),
        ("e-6", "RootCauseIdentified", '{"service": "web", "failure": "unknown", "confidence": 0.1}'),
    ]
    for n, (event_id, kind, data) in enumerate(told):
        await writer.record(decision(event_id, agent="cascade", decided_at=NOON + timedelta(seconds=n)))
        query(
            "UPDATE decisions SET messages = jsonb_build_array(jsonb_build_object('id', event_id, 'value',"
            f" jsonb_build_object('type', '{kind}', 'data', '{data}'::jsonb))) WHERE event_id = '{event_id}'"
        )

    found = await verdicts(database, Catalogue([platform]))

    assert [(one.culprit_service, one.confidence, list(one.path)) for one in found] == [
        ("store", 0.9, ["web", "api", "store"]),
        ("other", 0.4, ["web", "other"]),
    ]
    assert found[0].candidates[0].why == "lost most"


def verdict(culprit: str, confidence: float) -> str:
    return (
        f'{{"service": "web", "culprit_service": "{culprit}", "culprit_event_id": "b-1", "failure": "degraded",'
        f' "confidence": {confidence},'
        ' "candidates": [{"service": "store", "event_id": "b-1", "loss": 40, "why": "lost most"}]}'
    )
