"""A worker whose log is for programs: every line is a JSON object, from the first to the last, whoever logs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from observe import eventually, rows
from shop import Record, send

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

TOKEN = "a-token-that-everybody-shares"


@pytest.fixture
def worker(sandbox: Sandbox, first_worker: WorkerProcess, tmp_path: Path) -> Iterator[WorkerProcess]:
    first_worker.stop()
    process = WorkerProcess(sandbox, tmp_path / "json", {"AGENTS": "fraud", "LOG_FORMAT": "json", "API_TOKEN": TOKEN})
    try:
        process.start()
        yield process
    finally:
        process.release()


def test_every_line_is_an_object_and_a_dead_letter_says_where_it_came_from_without_its_content(
    sandbox: Sandbox, worker: WorkerProcess
) -> None:
    record = Record(b'{"name": "Ann Smith"', (("authorization", TOKEN.encode()),), b"json-log")
    asyncio.run(send(sandbox.kafka, [record]))
    [(partition, offset)] = eventually(
        lambda: rows(sandbox.database_url, "SELECT partition, \"offset\" FROM dead_letters WHERE key = 'json-log'")
    )
    worker.stop()

    written = worker.log_path.read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    assert {type(line) for line in lines} == {dict}
    assert {"at", "level", "logger", "event", "process"} <= set.intersection(*(set(line) for line in lines))
    assert {line["logger"].partition(".")[0] for line in lines} >= {"agents", "faust", "mode"}
    [letter] = [line for line in lines if line["event"].startswith("dead letter ")]
    told = {name: letter[name] for name in ("level", "agent", "topic", "partition", "offset", "reason")}
    assert told == {
        "level": "warning",
        "agent": "router",
        "topic": "payments",
        "partition": partition,
        "offset": offset,
        "reason": "invalid_json",
    }
    assert "Ann Smith" not in written
    assert TOKEN not in written
