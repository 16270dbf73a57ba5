"""Events of the topic `builds`: what a build came to, and what is made of it."""

from __future__ import annotations

from typing import Literal

from agents import DomainEvent, Id, Name, Quantity, Text
from myci.entities import repository

#: Whose fault a failed build is: the commit's, or the test's, which fails by itself.
Fault = Literal["broken", "flaky"]


class BuildEvent(DomainEvent, topic="builds", about=repository):
    """What every event here says; no event type itself."""

    repository_id: Id


class BuildPassed(BuildEvent):
    """Every test passed."""

    build_id: Id
    commit: Name


class BuildFailed(BuildEvent):
    """A test failed."""

    build_id: Id
    commit: Name
    test: Name
    message: Text


class FailureJudged(BuildEvent):
    """Whose fault a failed build is, is known."""

    build_id: Id
    test: Name
    verdict: Fault


class FlakyTestFound(BuildEvent):
    """A test failed on a commit on which it had passed; `times` counts how often that is known of."""

    test: Name
    times: Quantity


class RepositoryQuarantined(BuildEvent):
    """A test of the repository is not run any more, until somebody mends it."""

    quarantine_id: Id
    test: Name
