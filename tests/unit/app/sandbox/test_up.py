"""`make up`: what it tells, and which settings of its caller hold for its worker; the rest is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.sandbox.up import chosen_settings, told

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


def test_the_page_comes_first_and_then_how_to_fill_it() -> None:
    addresses = {"kafka": "127.0.0.1:20000", "provider": "tansu", "web_url": "http://127.0.0.1:20001"}

    page, simulate, *rest = told(addresses, Path("var/up/worker.log")).splitlines()

    assert page.split() == ["the", "page", "http://127.0.0.1:20001/ui/"]
    assert simulate.split()[3] == "KAFKA_BROKER=127.0.0.1:20000"
    assert simulate.endswith(f"{Path(sys.executable).with_name('innervate')} simulate --orders 200 --failures 40")
    assert [line.split() for line in rest] == [
        [],
        ["kafka", "127.0.0.1:20000"],
        ["provider", "tansu"],
        ["web_url", "http://127.0.0.1:20001"],
        ["worker", "log", "var/up/worker.log"],
        ["addresses", "var/sandbox.json"],
        ["Ctrl-C", "stops", "everything"],
    ]
