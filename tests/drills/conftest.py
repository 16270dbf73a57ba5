"""Fixtures of the drills: what operators do to a running system, on Apache Kafka with real worker processes.

Workers, load and audit are those of the crash suite (`tests/crash`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from arena import Arena
from drill import Drill
from previous import Release, install
from proxy import Proxy

from app.sandbox import Sandbox

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.apache)


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    """Services of its own, and no worker yet."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(tmp_path / "sandbox", "apache"))
        proxy = stack.enter_context(Proxy(sandbox.postgres.port))
        arena = Arena(sandbox, proxy, [])
        stack.callback(arena.release)
        yield Drill(arena, tmp_path)


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The release before this one, installed."""
    return install(tmp_path_factory.mktemp("before"))
