from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import tables.errors
from agents.engine.salvage import Damaged
from agents.model.errors import DecisionFailed
from outbox.errors import Echo, StatementRejected
from outbox.outcomes import Refused
from tables.errors import Permanent
from tables.event import InvalidEvent

ROOT = Path(tables.errors.__file__).parents[1]
PACKAGES = ("agents", "app", "outbox", "tables")
BUILT_IN = {
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
}


@cache
def classes() -> Sequence[tuple[str, str, list[str]]]:
    """Path, name and names of the bases of every class of ours, whether or not its module can be imported here."""
    return list(read_classes())


def read_classes() -> Iterator[tuple[str, str, list[str]]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                    yield str(path.relative_to(ROOT)), node.name, bases


def drawn(drawing: str) -> dict[str, str | None]:
    """Each name of a drawn tree with the name it hangs from."""
    parents: dict[str, str | None] = {}
    branch: list[str] = []
    for line in drawing.splitlines():
        if found := re.match(r"((?:│   |    )*)(├── |└── |)(\w+)(?:   ?|$)", line):
            depth = len(found[1]) // 4 + bool(found[2])
            branch = [*branch[:depth], found[3]]
            assert found[3] not in parents, f"{found[3]} is drawn twice"
            parents[found[3]] = branch[depth - 1] if depth else None
    return parents


def of_classes() -> dict[str, str | None]:
    parents: dict[str, str | None] = {"InnervateError": None}
    public = [(name, bases) for _, name, bases in classes() if not name.startswith("_")]
    known = 0
    while known != len(parents):
        known = len(parents)
        parents |= {name: base for name, bases in public for base in bases if base in parents}
    return parents


def test_the_drawing_shows_every_error_under_its_base_and_no_other() -> None:
    tree = (tables.errors.__doc__ or "").partition("\n\n")[2].partition("\n\n")[0]
    assert drawn(tree) == of_classes()


def test_the_drawing_is_read_with_its_branches() -> None:
    tree = "Root\n├── One    a word\n│   └── Two  more\n└── Three\n    └── Four"
    assert drawn(tree) == {"Root": None, "One": "Root", "Two": "One", "Three": "Root", "Four": "Three"}


def test_no_error_that_leaves_its_module_stands_beside_the_tree() -> None:
    strays = [
        f"{path}: {name}"
        for path, name, bases in classes()
        if BUILT_IN & set(bases) and not name.startswith("_") and name != "InnervateError"
    ]
    assert strays == []


def test_no_two_errors_have_one_name() -> None:
    errors = of_classes()
    names = [name for _, name, bases in classes() if errors.keys() & set(bases)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InvalidEvent("invalid_json", "no JSON"), "invalid_json"),
        (DecisionFailed("raised"), "decision_failed"),
        (StatementRejected("refused"), "decision_refused"),
        (Echo("c-1", "too far"), "echo"),
        (Refused("too large"), "refused"),
        (Damaged("cut off"), "unreadable"),
        (Permanent("anything else"), "unprocessable"),
    ],
)
def test_what_cannot_be_tried_again_says_by_which_word_its_dead_letter_is_counted(
    error: Permanent, reason: str
) -> None:
    assert error.reason == reason
