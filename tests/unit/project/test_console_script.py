"""`innervate …` is `faust -A app …` whatever lies in the current folder; what is the user's own is found there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox.process import clean_environment

INNERVATE = Path(sys.executable).with_name("innervate")
NOT_OURS = 'raise SystemExit("taken from the current folder")\n'
#: A module of the user's own, with an agent in it.
THEIRS = "from agents.shop.fraud.rules import fraud as fraud\n"

#: A domain of the user's own, in a package of its own.
DOMAIN = """
from datetime import timedelta

from agents import Agent, Decision, Domain, DomainEvent, Entity, History, Id, WindowSpec

repository = Entity("repository", field="repository_id")


class BuildFailed(DomainEvent, topic="builds", about=repository):
    repository_id: Id


flaky = Agent(
    name="flaky",
    entity=repository,
    reacts_to=(BuildFailed,),
    remembers=(BuildFailed,),
    window=WindowSpec(events=5, age=timedelta(days=1)),
)


@flaky.rules
def judge(build: BuildFailed, history: History) -> Decision:
    return Decision(outcome="seen", reason="a build failed")


ci = Domain(name="ci", entities=[repository], events=[BuildFailed], agents=[flaky])
"""


def innervate(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(INNERVATE), *arguments],
        cwd=folder,
        env={**clean_environment(), **settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def put(folder: Path, *names: str) -> None:
    """Files, and folders with a file in them, that end whoever imports them."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(NOT_OURS)


@pytest.mark.parametrize(
    "names",
    [
        ("app.py", "agents.py", "tables.py", "outbox/writer.py"),
        ("app/__init__.py", "agents/__init__.py", "tables/__init__.py", "outbox/__init__.py"),
        ("faust.py", "mode.py", "click.py", "email.py", "statistics.py", "pydantic/__init__.py"),
        ("app/worker/application.py", "agents/shop/__init__.py", "outbox/migrations/env.py"),
    ],
)
def test_nothing_in_the_current_folder_takes_the_place_of_what_is_installed(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    put(tmp_path, *names)

    run = innervate(tmp_path, "agents")

    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"\| @fraud +\| timeline-customer +\| Reacts to PaymentSucceeded of a customer\. +\|", run.stdout)


def test_the_migrations_are_those_installed(tmp_path: Path) -> None:
    put(tmp_path, "app.py", "outbox/__init__.py", "alembic.py", "sqlalchemy.py")

    run = innervate(tmp_path, "migrate", DATABASE_URL="postgresql://127.0.0.1:1/innervate")

    assert run.stderr.rstrip().rpartition("\n")[2].startswith('innervate: connection to server at "127.0.0.1", port 1')


@pytest.mark.parametrize("place", ["mine.py", "mine/__init__.py"])
def test_what_is_the_users_own_is_found_in_the_current_folder(tmp_path: Path, place: str) -> None:
    put(tmp_path, "app.py", "agents.py", "outbox/writer.py", place)
    (tmp_path / place).write_text(THEIRS)

    run = innervate(tmp_path, "agents", SHADOW="mine:fraud")

    assert (run.returncode, run.stderr) == (0, "")


def test_a_domain_of_the_users_own_is_found_in_the_current_folder(tmp_path: Path) -> None:
    put(tmp_path, "app.py", "agents/__init__.py", "outbox/writer.py", "myci/__init__.py")
    (tmp_path / "myci" / "__init__.py").write_text(DOMAIN)

    run = innervate(tmp_path, "agents", DOMAINS="myci:ci")

    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"\| @flaky +\| timeline-repository +\| Reacts to BuildFailed of a repository\. +\|", run.stdout)


def test_what_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    run = innervate(tmp_path, "agents", SHADOW="mine:fraud")

    assert (run.returncode, run.stdout) == (2, "")
    assert re.fullmatch(r"innervate: SHADOW: .*mine.*\n", run.stderr)


def test_an_unknown_command_is_refused_by_the_name_that_was_typed(tmp_path: Path) -> None:
    run = innervate(tmp_path, "nothing")

    assert run.returncode == 2
    assert run.stderr.startswith("Usage: innervate [OPTIONS] COMMAND")
