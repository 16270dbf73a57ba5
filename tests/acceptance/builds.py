"""A build server written by somebody else: builds of repositories, for the domain under `tests/domains/myci`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from facts import Fact

#: The commit that passes once in every repository, and on which some tests fail by themselves afterwards.
PASSED = "c0"


@dataclass(frozen=True)
class Build(Fact):
    """A build of a repository."""

    topic: ClassVar[str] = "builds"

    kind: str = "BuildFailed"

    def usual(self) -> dict[str, Any]:
        built = {"repository_id": self.entity_id, "build_id": f"b-{self.event_id}", "commit": f"c-{self.number}"}
        if self.kind == "BuildPassed":
            return {**built, "commit": PASSED}
        return {**built, "test": "test_pay", "message": "assert 1 == 2"}

    def key(self) -> str:
        return str(self.fields()["repository_id"])


def series(name: str, repositories: int, builds: int) -> list[Build]:
    """`builds` failed builds, the repositories taking turns; ids and repositories carry `name`.

    Before them each repository's first build passes. Every fifth failure is on the commit that passed, so that some are
    flaky, and of each repository the third of those asks for a quarantine.
    """
    where = [f"{name}-repository-{number}" for number in range(repositories)]
    passed = [Build(f"{name}-passed-{number}", each, 0, "BuildPassed") for number, each in enumerate(where)]
    return passed + [
        Build(
            f"{name}-{number:04}",
            where[number % repositories],
            number,
            data={"commit": PASSED} if number % 5 == 0 else {},
        )
        for number in range(builds)
    ]
