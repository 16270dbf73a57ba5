"""Misspelt settings are recognised, and what belongs to other programs is left alone."""

from __future__ import annotations

import pytest

from app.settings import Settings
from app.settings.misspelt import misspelt, unknown

OURS = {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AGENT", "AGENTS"),
        ("AGNETS", "AGENTS"),
        ("AGENTZ", "AGENTS"),
        ("KAFKA_BROKERS", "KAFKA_BROKER"),
        ("DATBASE_URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("WINDOW_EVENT", "WINDOW_EVENTS"),
        ("EVENT_TOPIC", "EVENT_TOPICS"),
        ("WEB_PROT", "WEB_PORT"),
        ("API_TOKEM", "API_TOKEN"),
        ("API_TOKNES", "API_TOKENS"),
        ("TRUSTED_PROXY_HEADERS", "TRUSTED_PROXY_HEADER"),
        ("LLM_MODLE", "LLM_MODEL"),
        ("llm_modle", "LLM_MODEL"),
        ("SHADOW_LABLE", "SHADOW_LABEL"),
        ("HOLD_MOVES_ABOVE_MINOR", "HOLD_MOVES_OVER_MINOR"),
        ("KAFKA_SECURITY_USER_NAME", "KAFKA_SECURITY_USERNAME"),
        ("OUTBOX_FENCE", "OUTBOX_FENCED"),
    ],
)
def test_the_nearest_name_is_named(name: str, meant: str) -> None:
    [line] = misspelt([name], OURS)
    assert line == f"{name.upper()}: there is no such setting; {meant} is meant? If not, set {meant} as well"


@pytest.mark.parametrize("name", ["LLM_PROVIDER", "HOLD_EVERYTHING", "OUTBOX_LANES", "KAFKA_SECURITY_X"])
def test_a_name_of_a_family_of_ours_is_refused_whatever_follows(name: str) -> None:
    assert list(misspelt([name], OURS)) == [f"{name}: there is no such setting"]


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "LANG", "LC_ALL", "SHELL", "SHLVL", "TERM", "TZ", "USER", "HOSTNAME", "PWD", "DEBUG",
        "PYTHONPATH", "PYTHONUNBUFFERED", "SSH_AGENT_PID", "SSH_AUTH_SOCK", "PGDATABASE", "PGHOST", "POSTGRES_PASSWORD",
        # What Kubernetes and others set beside ours.
        "KAFKA_BROKER_PORT", "KAFKA_BROKER_SERVICE_HOST", "KAFKA_BROKER_PORT_9092_TCP", "MY_API_TOKEN", "CI_API_TOKEN",
        "OPENAI_API_KEY", "DATABASE_PASSWORD", "KAFKA_HEAP_OPTS", "KUBERNETES_PORT",
        # Faust's own.
        "WEB_HOST", "WEB_TRANSPORT", "BROKER_URL", "APP_DATADIR", "NODE_HOSTNAME", "TOPIC_ALLOW_DECLARE", "NO_CYTHON",
        # The Makefile's.
        "PROVIDER", "RUNS", "SEED", "ORDERS", "FAILURES", "LLM", "CRASH_POINT",
    ],
)  # fmt: skip
def test_what_belongs_to_others_is_left_alone(name: str) -> None:
    assert list(misspelt([name], OURS)) == []


def test_every_setting_is_its_own_and_none_is_taken_for_another() -> None:
    assert list(misspelt(OURS, OURS)) == []


def test_what_is_set_beside_the_right_name_belongs_to_somebody_else() -> None:
    assert list(misspelt(["DATA_DIR", "DATADIR"], OURS)) == []


def test_every_other_name_in_a_file_of_ours_is_told() -> None:
    assert list(unknown(["AGENTS", "TELEPHONE"], OURS)) == [
        ".env: TELEPHONE is no setting of Innervate and does nothing"
    ]
