"""What an operator does with the agents of a domain of its own: a model decides, a version runs in the shadow, windows
are rebuilt. One story of builds, on services of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from builds import series
from facts import due_ids, records, send
from observe import eventually, get, rows, settled
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from stages import CASTS, Stage

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from app.scripted_model.process import MODEL, ScriptedModelProcess

#: Calls every failed build broken.
VERSION = """
from dataclasses import replace

from agents import Agent
from myci.flaky import flaky, judge

strict = Agent(
    name="flaky",
    entity=flaky.entity,
    reacts_to=[kind for kind in flaky.kinds if kind.__name__ in flaky.reacts_to],
    remembers=[kind for kind in flaky.kinds if kind.__name__ in flaky.remembers],
    window=flaky.window,
)


@strict.rules
def rules(build, history):
    return replace(judge(build, history), outcome="broken")
"""
BUILDS = series("operated", repositories=2, builds=30)


@dataclass(frozen=True)
class Aftermath:
    """The stage after the builds, and what is told to whoever runs the other version."""

    stage: Stage
    with_version: dict[str, str]
    directory: Path


@pytest.fixture(scope="module")
def aftermath(provider: str, installed_ci: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Every build decided by a worker whose `flaky` asks a model, `blame` the rules."""
    directory = tmp_path_factory.mktemp("operated")
    (directory / "versions_of_ours.py").write_text(VERSION, encoding="utf-8")
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(directory / "sandbox", provider))
        model = ScriptedModelProcess(directory / "model", seed=7, misbehave=0)
        stack.callback(model.release)
        model.start()
        settings = {"DOMAINS": "myci:ci", "PYTHONPATH": f"{installed_ci}{os.pathsep}{directory}"}
        asking = {"LLM_URL": model.url, "LLM_MODEL": MODEL, "BRAINS": "flaky=model,blame=rules,incident=rules"}
        worker = WorkerProcess(sandbox, directory / "worker", {**settings, **asking})
        stack.callback(worker.release)
        worker.start()
        stage = Stage(CASTS["ci"], sandbox, worker, settings)
        asyncio.run(send(sandbox.kafka, records(BUILDS)))
        settled(sandbox.database_url, due_ids(BUILDS), ["flaky"])
        version = {"SHADOW": "versions_of_ours:strict", "SHADOW_LABEL": "strict"}
        yield Aftermath(stage, {**settings, **version}, directory)


def decided(aftermath: Aftermath, agent: str) -> Sequence[tuple[str, str, str | None, str | None, str]]:
    """Brain, model, why the rules decided, why it is held, and reason, of each decision."""
    return rows(
        aftermath.stage.database_url,
        "SELECT brain, model, fallback_reason, status, d.reason FROM decisions AS d WHERE agent = %s",
        agent,
    )


def test_a_model_fills_the_form_of_its_agent_within_the_agents_policy(aftermath: Aftermath) -> None:
    found = decided(aftermath, "flaky")

    assert len(found) == 30
    assert {brain for brain, *_ in found} <= {MODEL, "rules"}
    by_model = [row for row in found if row[0] == MODEL]
    assert by_model
    assert all(reason.endswith("a model says: as scripted") for *_, reason in by_model)
    # What it would not have been permitted, the rules decided.
    assert {fallback for brain, _, fallback, *_ in found if brain == "rules"} <= {"not_permitted"}
    calls = rows(aftermath.stage.database_url, "SELECT DISTINCT agent FROM llm_calls")
    assert calls == [("flaky",)]


def test_what_a_model_decides_keeps_the_promises(aftermath: Aftermath, tmp_path: Path) -> None:
    stage = aftermath.stage
    assert_nothing_lost_or_doubled(stage.sandbox, BUILDS, topics=stage.cast.catalogue.topics, repeats_allowed=True)
    assert_histories_are_exact(stage.sandbox, BUILDS)

    run = stage.faust("replay", "--json", str(tmp_path / "report"))

    assert run.returncode == 0, run.stdout + run.stderr
    assert json.loads((tmp_path / "report").read_text(encoding="utf-8"))["same"] is True


def test_a_version_of_it_shows_what_it_would_change_in_a_replay(aftermath: Aftermath, tmp_path: Path) -> None:
    report = str(tmp_path / "report")
    run = aftermath.stage.faust(
        "replay", "--decide", "rules", "--agent", "versions_of_ours:strict", "--agents", "flaky", "--json", report
    )

    found = json.loads(Path(report).read_text(encoding="utf-8"))
    assert (run.returncode, list(found["agents"])) == (1, ["flaky"]), run.stderr
    assert {each["replayed"]["outcome"] for each in found["differences"]} == {"broken"}


def test_a_version_of_it_runs_in_the_shadow_without_consequence(aftermath: Aftermath) -> None:
    stage = aftermath.stage
    before = rows(stage.database_url, "SELECT count(*) FROM quarantines")
    shadow = WorkerProcess(stage.sandbox, aftermath.directory / "shadow", aftermath.with_version)
    try:
        shadow.start()
        eventually(lambda: len(decided(aftermath, "flaky@strict")), lambda count: count == 30)
    finally:
        shadow.release()

    assert {status for _, _, _, status, _ in decided(aftermath, "flaky@strict")} == {"shadow"}
    [compared] = get(stage.worker.url, "/shadows")[1]["shadows"]
    assert (compared["agent"], compared["label"], compared["compared"]) == ("flaky", "strict", 30)
    assert {one["shadow"]["outcome"] for one in compared["disagreements"]} <= {"broken"}
    assert rows(stage.database_url, "SELECT count(*) FROM quarantines") == before


def test_its_windows_are_rebuilt_as_they_were(aftermath: Aftermath) -> None:
    """Last of the module: the worker is started again."""
    stage = aftermath.stage

    def windows() -> Sequence[Sequence[int]]:
        names = [f"operated-repository-{number}" for number in range(2)]
        answers = [get(stage.worker.url, f"/agents/flaky/windows/{name}") for name in names]
        return [[entry["offset"] for entry in body["events"]] for status, body in answers if status == 200]

    before = windows()
    stage.worker.stop()

    run = stage.faust("--datadir", str(stage.worker.directory / "tables"), "rebuild", "flaky", "--stopped")

    assert run.returncode == 0, run.stderr
    stage.worker.start()
    assert [len(each) for each in before] == [16, 16]
    assert eventually(windows, lambda found: len(found) == 2) == before
