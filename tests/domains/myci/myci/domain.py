"""The domain as a value: what Innervate is handed over."""

from __future__ import annotations

from typing import Final

from agents import Domain, platform
from myci.blame import blame
from myci.entities import repository
from myci.events import BuildFailed, BuildPassed, FailureJudged, FlakyTestFound, RepositoryQuarantined
from myci.flaky import flaky
from myci.quarantine import Quarantine

ci: Final = Domain(
    name="ci",
    entities=(repository,),
    events=(BuildPassed, BuildFailed, FailureJudged, FlakyTestFound, RepositoryQuarantined),
    agents=(flaky, blame),
    effects=(Quarantine,),
    migrations="myci:migrations",
    uses=(platform,),
    carries=(repository,),
)
