"""A worker's announcements on a real database, from its start to its stop, and where the table cannot be written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from app.composition import create_app
from app.settings import Settings
from app.worker.announcing import announced_rebuild
from app.worker.application import Innervate
from app.worker.status import WorkerStatus

SAID = "SELECT name, kind, agent_set, stopped_at IS NOT NULL FROM workers"


@pytest.fixture
def app(tmp_path: Path, database_url: str) -> Innervate:
    return create_app(Settings(_env_file=None, datadir=tmp_path, database_url=database_url))


async def test_a_worker_is_there_from_its_start_and_has_said_goodbye_after_its_stop(
    app: Innervate, query: Callable[..., Any]
) -> None:
    await app.announcer.on_start()
    await until(lambda: query(SAID) == [(app.runtime.name, "live", "all", False)], what="it says that it lives")

    await app.announcer.on_stop()
    await app.runtime.database.close()

    assert query(SAID) == [(app.runtime.name, "live", "all", True)]
    [(state,)] = query("SELECT state FROM workers")
    assert WorkerStatus.model_validate(state).timeline_partitions == 8


async def test_a_rebuild_is_there_while_it_runs(app: Innervate, query: Callable[..., Any]) -> None:
    async with announced_rebuild(app.settings, "fraud"):
        await until(lambda: query("SELECT kind, agents FROM workers") == [("rebuild", ["fraud"])], what="it is told")

    assert query("SELECT stopped_at IS NOT NULL FROM workers") == [(True,)]


async def test_a_table_that_is_not_there_harms_nothing_and_is_written_when_it_is(
    app: Innervate, query: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.worker.announcing.ANNOUNCE_SECONDS", 0.05)
    query("ALTER TABLE workers RENAME TO away")
    await app.announcer.on_start()
    await until(lambda: "this worker cannot say how it is" in caplog.text, what="it cannot say how it is")

    await asyncio.to_thread(query, "ALTER TABLE away RENAME TO workers")
    await until(lambda: query("SELECT count(*) FROM workers") == [(1,)], what="it says how it is")

    assert app.runtime.failing == {}
    await app.announcer.on_stop()
    await app.runtime.database.close()
