"""What continuous integration runs (`.ci/run`): every stage, side by side, and whatever fails is read last."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

PROGRAM = Path(__file__).parents[3] / ".ci" / "run"
STAGES = [
    "bench QUICK=1",
    "crash-points TRADE=ci FENCED=1",
    "crash-points TRADE=shop",
    "drills",
    "pythons",
    "test UNIT=coverage",
    "test-alerts",
    "test-browser",
    "test-deploy",
    "test-kafka",
]

#: What is made before any stage begins.
NEEDED = ["made setup", "made chromium", "made prometheus"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One in which every stage says what it is told, and the one named in the file `broken` fails."""
    programs = {
        "bin/make": f'echo "made $*" | tee -a {tmp_path}/made; ! grep -qx "$*" {tmp_path}/broken',
        ".venv/bin/python": f"[ ! -e {tmp_path}/nothing-there ] && echo 3.90",
    }
    for name, lines in programs.items():
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROGRAM, tmp_path / ".ci" / "run")
    (tmp_path / "broken").touch()
    return tmp_path


def run(checkout: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / ".ci" / "run")],
        env={"PATH": f"{checkout}/bin:/usr/bin:/bin", **more},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("at_once", ["1", "3"])
def test_every_stage_is_run_and_its_log_is_shown(checkout: Path, at_once: str) -> None:
    done = run(checkout, AT_ONCE=at_once)

    assert done.returncode == 0
    made = (checkout / "made").read_text().splitlines()
    assert made[: len(NEEDED)] == NEEDED
    assert sorted(made[len(NEEDED) :]) == [f"made {stage}" for stage in STAGES]
    assert "crash-points-TRADE=ci-FENCED=1 | made crash-points TRADE=ci FENCED=1" in done.stdout.splitlines()
    assert done.stdout.endswith("; FAILED: none\n")


def test_a_stage_that_fails_is_read_last_and_fails_the_run_after_all_others_ran(checkout: Path) -> None:
    (checkout / "broken").write_text("test-kafka\n")

    done = run(checkout, AT_ONCE="2")

    assert done.returncode == 1
    assert len((checkout / "made").read_text().splitlines()) == len(NEEDED) + len(STAGES)
    *_, log, verdict = done.stdout.splitlines()
    assert log == "test-kafka | made test-kafka"
    assert verdict.endswith("; FAILED: test-kafka")


def test_nothing_begins_when_what_kafka_needs_is_missing(checkout: Path) -> None:
    (checkout / "nothing-there").touch()

    done = run(checkout)

    assert done.returncode == 1
    assert (checkout / "made").read_text().splitlines() == NEEDED


def test_nothing_begins_without_the_browser_that_the_tests_of_the_page_need(checkout: Path) -> None:
    (checkout / "broken").write_text("chromium\n")

    done = run(checkout)

    assert done.returncode != 0
    assert (checkout / "made").read_text().splitlines() == NEEDED[:2]
