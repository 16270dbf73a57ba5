"""The demo's model in a process of its own: it answers where the worker is told to ask, and stays no longer."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app.scripted_model.process import ScriptedModelProcess, scripted_model
from app.settings import Settings

BODY = {
    "model": "scripted",
    "messages": [{"role": "user", "content": "payment 1"}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "schema": {"type": "object", "properties": {"verdict": {"type": "string", "enum": ["approve"]}}}
        },
    },
}


def is_open(url: str) -> bool:
    host, _, port = urlsplit(url).netloc.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_it_answers_while_it_runs_and_leaves_nothing_but_its_log(tmp_path: Path) -> None:
    model = ScriptedModelProcess(tmp_path / "model", seed=7, misbehave=0.0)
    try:
        model.start()
        answer = httpx.post(f"{model.url}/chat/completions", json=BODY).json()
    finally:
        model.release()
    assert answer["choices"][0]["message"]["content"] == '{"verdict":"approve"}'
    assert not is_open(model.url)
    assert [path.name for path in tmp_path.iterdir()] == ["model.log"]


def test_a_demos_worker_is_told_to_ask_it_until_the_demo_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with scripted_model(tmp_path / "model", seed=7) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        assert is_open(settings.llm_url)
        assert settings.model_of("fraud") == "scripted"
    assert not is_open(settings.llm_url)
