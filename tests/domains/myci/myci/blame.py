"""Blame: why a step of a service failed for a repository: a build that failed before, or a change of the service.

What the repository's own past does not explain is handed over to the service's timeline, where the platform's agent
looks for a change that is to blame.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from agents import (
    Agent,
    Decision,
    ErrorOccurred,
    History,
    RootCauseIdentified,
    RootCauseSuspected,
    WindowSpec,
)
from myci.entities import repository
from myci.events import BuildFailed, RepositoryQuarantined

blame = Agent(
    name="blame",
    entity=repository,
    reacts_to=(ErrorOccurred,),
    remembers=(ErrorOccurred, BuildFailed, RepositoryQuarantined),
    window=WindowSpec(events=30, age=timedelta(days=7)),
)

#: So long after a failed build an error is blamed on it.
RECENT: Final = timedelta(hours=1)


@blame.rules
def explain(error: ErrorOccurred, history: History) -> Decision:
    """Blame the last failed build of the past hour; ask the service when there was none."""
    repository_id, error_id = repository.id_of(error), history.event.id
    builds = history.recent(BuildFailed, RECENT)
    if not builds:
        suspected = RootCauseSuspected(
            **repository.named(repository_id),
            service=error.service,
            error_event_id=error_id,
            culprit_event_id=None,
            failure="unknown",
            confidence=0.1,
            evidence=(error_id,),
            alternatives=(),
        )
        return Decision(outcome="handed_over", reason="no build failed lately", confidence=0.1, emit=[suspected])
    culprit = builds[-1]
    identified = RootCauseIdentified(
        **repository.named(repository_id),
        service=error.service,
        error_event_id=error_id,
        culprit_event_id=culprit.id,
        failure="broken_build",
        confidence=0.8,
        evidence=(culprit.id, error_id),
        alternatives=tuple(each.id for each in builds[-2:-1]),
    )
    reason = f"build {culprit.data.build_id} failed shortly before"
    return Decision(outcome="broken_build", reason=reason, confidence=0.8, emit=[identified])
