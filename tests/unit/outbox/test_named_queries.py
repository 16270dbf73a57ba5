"""Named statements: every file is read whole, and what the code hands over is what the statement asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

import app
import outbox
from outbox.database import queries
from outbox.parameters import dead_letter_parameters, decision_parameters, lock_parameters
from outbox.records import DeadLetter, Origin

FILES = sorted(file.name for file in resources.files(outbox).joinpath("sql").iterdir())
PARAMETER = re.compile(r"%\((\w+)\)s")


class Asked(dict[str, str]):
    """Gives every parameter asked for a value and keeps its name."""

    def __missing__(self, name: str) -> str:
        self[name] = "NULL"
        return "NULL"


def asked(statement: str) -> set[str]:
    parameters = Asked()
    assert statement % parameters
    return set(parameters)


def source(package: object) -> str:
    [folder] = package.__path__  # type: ignore[attr-defined]
    return "".join(file.read_text(encoding="utf-8") for file in sorted(Path(folder).rglob("*.py")))


def test_every_file_of_statements_is_tested_here() -> None:
    assert FILES == [
        "approvals.sql",
        "budget.sql",
        "buried.sql",
        "causes.sql",
        "codes.sql",
        "effects.sql",
        "expectations.sql",
        "fenced.sql",
        "graph.sql",
        "journal.sql",
        "leases.sql",
        "metrics.sql",
        "missing.sql",
        "notify.sql",
        "now.sql",
        "operator_actions.sql",
        "redrives.sql",
        "relay.sql",
        "retention.sql",
        "session.sql",
        "shadow.sql",
        "story.sql",
        "time_machine.sql",
        "views.sql",
        "workers.sql",
        "writer.sql",
    ]


@pytest.mark.parametrize("filename", FILES)
def test_every_statement_has_a_name_of_its_own_and_ends(filename: str) -> None:
    text = resources.files(outbox).joinpath("sql", filename).read_text(encoding="utf-8")
    names = re.findall(r"^-- name: (.*)$", text, re.MULTILINE)
    found = queries(filename)
    assert text.startswith(("-- name: ", "-- part: "))
    assert list(found) == names
    for statement in found.values():
        code = re.sub(r"^--.*$", "", statement, flags=re.MULTILINE)
        assert code.endswith(";")
        if filename == "effects.sql":
            continue  # a block of PL/pgSQL and what it is made of
        # A lock is a statement of its own, so that the next one sees what was committed while it waited.
        assert code.count(";") == 1 + ("SELECT pg_advisory_xact_lock" in code.rpartition(";\n")[0])


@pytest.mark.parametrize("filename", FILES)
def test_a_per_cent_sign_is_always_a_parameter(filename: str) -> None:
    for statement in queries(filename).values():
        assert asked(statement) == set(PARAMETER.findall(statement))


def test_a_decision_hands_over_what_its_statement_asks_for() -> None:
    assert set(decision_parameters([])) == asked(queries("writer.sql")["record_decisions"])


def test_lanes_hand_over_what_their_statement_asks_for() -> None:
    assert set(lock_parameters([])) == asked(queries("writer.sql")["lock_lanes"])


def test_a_dead_letter_hands_over_what_its_statement_asks_for() -> None:
    origin = Origin(topic="payments", partition=0, offset=0, at=datetime(2024, 5, 1, tzinfo=UTC))
    letter = DeadLetter(consumer="c", reason="r", detail="d", origin=origin, key=None, value=None, headers=())
    assert set(dead_letter_parameters(letter)) == asked(queries("writer.sql")["record_dead_letter"])


def test_every_statement_is_used_and_every_one_used_exists() -> None:
    named: Mapping[str, set[str]] = {filename: set(queries(filename)) for filename in FILES}
    used = set(re.findall(r'_?SQL\["(\w+)"\]', source(outbox) + source(app)))
    assert used == set().union(*named.values())


def test_the_parts_of_a_file_stand_where_they_are_used_and_all_are_used() -> None:
    for filename in FILES:
        text = resources.files(outbox).joinpath("sql", filename).read_text(encoding="utf-8")
        parts = set(re.findall(r"^-- part: (.*)$", text, re.MULTILINE))
        assert parts == set(re.findall(r"\{(\w+)\}", text))
        assert not any(re.search(r"\{\w+\}", statement) for statement in queries(filename).values())
    assert "SELECT id::text, agent, event_source," in queries("views.sql")["decisions"]


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        queries("nowhere.sql")
