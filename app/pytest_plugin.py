"""A pytest plugin: domains and incidents as tests. It costs nothing until a test asks for `domain` or `replay`.

    def test_a_second_failure_is_flaky(domain):
        decision = domain(my_domain).decide(flaky, BuildFailed(...), after=[BuildPassed(...)])
        assert decision.outcome == "quarantine"

    def test_nothing_is_refunded_twice(replay):
        result = replay("tests/incidents/double_refund.jsonl")
        assert result.is_same, result.explain()

A slice is written by `faust -A app record`. `replay` has the domains of `DOMAINS` in the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agents.model.agent import Agent
    from agents.model.domain import Domain
    from app.testing import DomainDriver, DomainFixture
    from app.timemachine.replaying import Replayed

#: Replays the slice in a file, with the agents of the slice or with these, given by name or as they are.
ReplaySlice = Callable[..., "Replayed"]


@pytest.fixture(scope="session")
def replay(request: pytest.FixtureRequest) -> ReplaySlice:
    """Replays a slice: `replay(path, agents=[...])`; a relative path begins at pytest's root directory."""
    root = request.config.rootpath

    def run(path: str | Path, agents: Iterable[Agent | str] | None = None) -> Replayed:
        from app.settings.domains import DomainSettings  # noqa: PLC0415 - costs every pytest run otherwise
        from app.timemachine.replaying import replay_file  # noqa: PLC0415

        return replay_file(root / path, DomainSettings().catalogue, agents)

    return run


@pytest.fixture(scope="session")
def domain(request: pytest.FixtureRequest) -> DomainFixture:
    """Lets agents decide without Kafka and PostgreSQL: `domain(my_domain).decide(...)`; see `app.testing`."""
    root = request.config.rootpath

    def drive(*domains: Domain) -> DomainDriver:
        from app.testing import DomainDriver  # noqa: PLC0415 - as above

        return DomainDriver(*domains, root=root)

    return drive
