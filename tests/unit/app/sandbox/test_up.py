"""Settings of the caller of `make up`: what can hold for its worker does, and the rest is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.sandbox.up import chosen_settings

SANDBOX = {"KAFKA_BROKER": "127.0.0.1:20000", "DATABASE_URL": "postgresql://here", "WEB_BIND": "127.0.0.1"}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_settings_of_the_environment_reach_the_worker(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"EVENT_TOPICS": "payments,returns", "agents": "fraud", "PATH": "/bin"}
    assert chosen_settings(environment, SANDBOX) == {"EVENT_TOPICS": "payments,returns", "AGENTS": "fraud"}
    assert capsys.readouterr().err == ""


def test_the_environment_comes_before_the_file() -> None:
    Path(".env").write_text("EVENT_TOPICS=orders\nWINDOW_EVENTS=20\n", encoding="utf-8")
    assert chosen_settings({"EVENT_TOPICS": "payments"}, SANDBOX) == {"EVENT_TOPICS": "payments", "WINDOW_EVENTS": "20"}


def test_what_the_sandbox_has_itself_is_not_used_and_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("KAFKA_SECURITY_PASSWORD=secret\n", encoding="utf-8")
    environment = {"KAFKA_BROKER": "kafka:9092", "WEB_PORT": "80", "DATADIR": "/data", "WEB_BIND": "0.0.0.0"}
    assert chosen_settings(environment, SANDBOX) == {}
    assert capsys.readouterr().err == (
        "innervate: not used here, the sandbox has its own:"
        " DATADIR, KAFKA_BROKER, KAFKA_SECURITY_PASSWORD, WEB_BIND, WEB_PORT\n"
    )
