"""The settings that an agent's judgement depends on."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from app.settings import Settings
from app.settings.judging import judging

#: What says where something is, how much a machine takes, who may look; and secrets. None of it changes a judgement.
CHANGE_NO_JUDGEMENT = re.compile(
    r"(api|database|grafana|kafka|log|metrics|otel|otlp|prometheus|retention|keep|topic|traces?|tracing|web)_\w+"
    r"|trusted_prox\w+|read_only|ready_lag_seconds|migrate_at_start|datadir|outbox_fenced|event_topics|timelines"
    # Who calls the build what; it stands in the release. Whether this worker routes as well.
    r"|release_build|router|llm_api_key|\w+_file"
)
#: For each other setting values that are not the default, as an operator writes them, and what they need beside them.
CHANGES: dict[str, dict[str, str]] = {
    "agents": {"AGENTS": "fraud"},
    "brains": {"LLM_URL": "http://m/v1", "LLM_MODEL": "small", "BRAINS": "fraud=rules"},
    "chain_max_depth": {"CHAIN_MAX_DEPTH": "3"},
    "chain_max_messages": {"CHAIN_MAX_MESSAGES": "3"},
    "domains": {"DOMAINS": "agents.shop.domain:shop"},
    "effects_wait_seconds": {"EFFECTS_WAIT_SECONDS": "3"},
    "hold_confidence_under": {"HOLD_CONFIDENCE_UNDER": "0.5"},
    "hold_hours": {"HOLD_HOURS": "3"},
    "hold_moves_over_minor": {"HOLD_MOVES_OVER_MINOR": "3"},
    "hold_outcomes": {"HOLD_OUTCOMES": "fraud=block"},
    "llm_concurrency": {"LLM_CONCURRENCY": "3"},
    "llm_daily_tokens": {"LLM_DAILY_TOKENS": "3"},
    "llm_deadline_seconds": {"LLM_DEADLINE_SECONDS": "30"},
    "llm_model": {"LLM_MODEL": "other"},
    "llm_models": {"LLM_MODELS": "fraud=other"},
    "llm_queue": {"LLM_QUEUE": "3"},
    "llm_redact": {"LLM_REDACT": "email"},
    "llm_reply_tokens": {"LLM_REPLY_TOKENS": "30"},
    "llm_timeout_seconds": {"LLM_TIMEOUT_SECONDS": "3"},
    "llm_url": {"LLM_URL": "http://other/v1"},
    "max_event_bytes": {"MAX_EVENT_BYTES": "2048"},
    "shadow": {"SHADOW": "agents.shop.fraud.rules:fraud"},
    "shadow_label": {"SHADOW": "agents.shop.fraud.rules:fraud", "SHADOW_LABEL": "new"},
    "trusted_sources": {"TRUSTED_SOURCES": "urn:shop:checks"},
    "window_late_days": {"WINDOW_LATE_DAYS": "3"},
    "window_events": {"WINDOW_EVENTS": "7"},
}
#: A model is asked: what is said about models matters then.
ASKING = {"LLM_URL": "http://m/v1", "LLM_MODEL": "small"}


def judged(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], agent: str = "fraud") -> Any:
    with monkeypatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        settings = Settings()
    return judging(settings, settings.catalogue.agents[agent])


def test_every_setting_changes_a_judgement_or_is_said_to_change_none() -> None:
    rest = {name for name in Settings.model_fields if not CHANGE_NO_JUDGEMENT.fullmatch(name)}

    assert rest == CHANGES.keys()


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_setting_that_changes_a_judgement_changes_what_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = {"SHADOW": CHANGES[name]["SHADOW"]} if name == "shadow_label" else {}

    assert judged(monkeypatch, ASKING | CHANGES[name]) != judged(monkeypatch, ASKING | beside)


def test_what_is_kept_is_json_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "LLM_API_KEY": "secret-1",
        "API_TOKEN": "secret-2",
        "DATABASE_URL": "postgresql://me:secret-3@127.0.0.1/x",
        "KAFKA_SECURITY_PASSWORD": "secret-4",
        "KAFKA_SECURITY_USERNAME": "secret-5",
    }

    kept = orjson.dumps(judged(monkeypatch, ASKING | secrets)).decode()

    assert "secret" not in kept
    assert judged(monkeypatch, ASKING | secrets) == judged(monkeypatch, ASKING)


def test_what_is_said_about_models_does_not_matter_to_an_agent_that_asks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, ASKING, "bookkeeping") == judged(monkeypatch, {}, "bookkeeping")
    assert judged(monkeypatch, ASKING | {"BRAINS": "fraud=rules"}) == judged(monkeypatch, {})


def test_a_setting_of_another_agent_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {"HOLD_OUTCOMES": "recovery=refund", "HOLD_MOVES_OVER_MINOR": "recovery=5"}

    assert judged(monkeypatch, others) == judged(monkeypatch, {})
