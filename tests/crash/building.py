"""Building: a build server that goes on building whatever breaks, for the domain under `tests/domains/myci`.

Most builds fail, some on a commit that has passed; a few errors of services are about a repository, so that its agent
hands them over to the platform's. The stories are those of a flaky test, which ends quarantined.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sale import Failure, Sale, event
from stream import ENTITIES, Drawn

TOPIC: Final = "builds"
#: The commit that passes now and then, and on which tests fail all the same.
COMMIT: Final = "c0"
TEST: Final = "test_pay"
#: A test that fails so often by itself is quarantined at once.
FLAKY_TIMES: Final = 6
#: The story begins so long before now and takes so long from one event to the next.
AGO: Final = timedelta(hours=1)
STEP: Final = timedelta(minutes=1)

_KINDS: Final = ("BuildFailed",) * 7 + ("BuildPassed", "BuildPassed", "ErrorOccurred")


def draw(chance: random.Random, number: int, name: str) -> Drawn:
    """A build of a repository, or an error of a service that is about one."""
    repository = f"{name}-r-{chance.randrange(ENTITIES)}"
    kind = chance.choice(_KINDS)
    commit = chance.choice((COMMIT, f"c{number}"))
    if kind == "ErrorOccurred":
        failed = {"service": f"{name}-deployer-{number % 3}", "step": "roll out", "error": "Timeout", "message": "late"}
        return Drawn("platform", kind, repository, {"repository_id": repository, **failed})
    data: dict[str, Any] = {"repository_id": repository, "build_id": f"{name}-b-{number}", "commit": commit}
    if kind == "BuildFailed":
        data |= {"test": f"test_{chance.randrange(3)}", "message": "assert 1 == 2"}
    return Drawn(TOPIC, kind, repository, data)


def story(number: int, name: str, now: datetime) -> Iterator[Sale]:
    """A build that passes, and the same commit that fails until its test is quarantined; ids carry `name`."""
    repository = f"{name}-s-{number}"
    sales = [_build(repository, step, "BuildFailed" if step else "BuildPassed", now) for step in range(FLAKY_TIMES + 1)]
    names = frozenset(sale.name for sale in sales if sale.name is not None)
    yield from sales[:-1]
    yield replace(sales[-1], failure=Failure("quarantine", repository, TEST, names))


def _build(repository: str, step: int, kind: str, now: datetime) -> Sale:
    data = {"repository_id": repository, "build_id": f"{repository}-b-{step}", "commit": COMMIT}
    if kind == "BuildFailed":
        data |= {"test": TEST, "message": "assert 1 == 2"}
    return event(TOPIC, kind, f"{repository}-e-{step}", data, key=repository, at=now - AGO + step * STEP)
