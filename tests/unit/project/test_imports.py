"""Modules import each other in one direction only, types included, and what is heavy only where it is used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox.process import clean_environment

TYPED = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from twins.{other} import Twin\nclass Twin: ...\n"


def circle_in(*packages: str) -> Sequence[str]:
    """Modules of which each is imported by the next, the last one being the first; none when there is no circle.

    An import counts at the top, inside a function and for type checkers alone.
    """
    graph = grimp.build_graph(*packages, exclude_type_checking_imports=False, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        circle: Sequence[str] = error.args[1]
        return circle
    return ()


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle_in("agents", "app", "outbox", "tables") == ()


def test_a_circle_for_type_checkers_alone_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "twins"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "left.py").write_text(TYPED.format(other="right"))
    (package / "right.py").write_text(TYPED.format(other="left"))
    monkeypatch.syspath_prepend(tmp_path)

    assert set(circle_in("twins")) == {"twins.left", "twins.right"}


def test_a_worker_of_rules_starts_without_what_only_models_and_migrations_need(
    tmp_path: Path,
) -> None:
    built = "import app, sys; assert app.app.agent_streams; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", built],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert {"app", "agents", "faust"} <= loaded
    assert loaded & {"httpx", "rich", "tenacity", "pytest", "alembic", "sqlalchemy"} == set()
