"""The scripted model: the same seed and the same requests meet the same fate, in whatever order they come."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

import httpx
from waiting import PATIENCE_SECONDS

from app.scripted_model.misbehaviour import Misbehave
from app.scripted_model.server import Ask, Say, by_seed

SCHEMA = {"type": "object", "properties": {"outcome": {"type": "string", "enum": ["approve", "block", "review"]}}}


def ask(number: int, times: int = 1) -> Ask:
    body: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": f"payment {number}"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
    }
    return Ask(times=times, body=body, headers={})


def test_a_run_repeats_in_any_order() -> None:
    there = {number: by_seed(7, misbehave=0.5)(ask(number)) for number in range(50)}
    back = {number: by_seed(7, misbehave=0.5)(ask(number)) for number in reversed(range(50))}
    assert there == back
    assert there != {number: by_seed(8, misbehave=0.5)(ask(number)) for number in range(50)}


def test_it_misbehaves_as_often_and_only_as_told() -> None:
    fates = [by_seed(7, misbehave=0.3, misbehaviours=("cut", "slow"))(ask(number)) for number in range(1000)]
    bad = [fate.how for fate in fates if isinstance(fate, Misbehave)]
    assert 250 < len(bad) < 350
    assert set(bad) == {"cut", "slow"}
    assert all(isinstance(by_seed(7)(ask(number)), Say) for number in range(50))


def test_the_same_request_may_meet_another_fate_when_it_comes_again() -> None:
    script = by_seed(7, misbehave=0.5)
    assert len({type(script(ask(1, times))) for times in range(1, 20)}) == 2


async def test_the_command_prints_its_address_and_answers_there() -> None:
    command = (sys.executable, "-m", "app.scripted_model.server", "--seed", "7")
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env=dict(os.environ))
    try:
        assert server.stdout is not None
        url = (await asyncio.wait_for(server.stdout.readline(), timeout=PATIENCE_SECONDS)).decode().strip()
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/chat/completions", json=dict(ask(1).body))
        said = by_seed(7)(ask(1))
        assert isinstance(said, Say)
        assert answer.json()["choices"][0]["message"]["content"] == said.text
    finally:
        server.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(server.wait(), timeout=PATIENCE_SECONDS) == 0
