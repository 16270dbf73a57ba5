"""The guarantees name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
GUARANTEES = (CHECKOUT / "docs" / "guarantees.md").read_text(encoding="utf-8")
ROWS = [line for line in GUARANTEES.splitlines() if line.startswith("| ")]


def test_every_file_of_tests_that_is_named_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)", GUARANTEES))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (CHECKOUT / path).is_file()] == []


def test_every_test_that_is_named_exists() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"\b(test_[a-z_0-9]{12,})\b(?!\.py)", GUARANTEES))
    assert len(named) > 8
    assert [name for name in sorted(named) if f"def {name}(" not in sources] == []


def test_every_promise_names_the_test_behind_it() -> None:
    promises = [row for row in ROWS if re.match(r"\| \d ", row)]
    assert len(promises) == 8
    assert [row for row in promises if "`tests/" not in row] == []


def test_every_crash_point_stands_in_the_table() -> None:
    source = (CHECKOUT / "tests" / "crash" / "test_crash_points.py").read_text(encoding="utf-8")
    points = re.findall(r'^    "(\w+)": \d+,$', source, re.MULTILINE)
    assert len(points) == 10
    assert [point for point in points if f"`{point}`" not in GUARANTEES] == []
