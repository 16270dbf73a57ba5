"""Flaky: tells a test that fails by itself from a commit that broke it, and asks to quarantine the worst.

A language model may judge in the place of the rules, but quarantines nothing by itself. That a build is nobody's fault
but the test's, by a model alone, waits for a person.

What it asked for before is derived from the builds, not from its own events: those may not have reached the timeline
yet when the next build is judged. A quarantine that is there already is refused by its table, and a person hears of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from agents import (
    Agent,
    Choice,
    Decision,
    EscalationRequested,
    History,
    Sureness,
    WindowSpec,
    downgraded,
    not_permitted,
    told,
)
from myci.entities import repository
from myci.events import BuildFailed, BuildPassed, FailureJudged, Fault, FlakyTestFound, RepositoryQuarantined
from myci.quarantine import Quarantine

flaky = Agent(
    name="flaky",
    entity=repository,
    reacts_to=(BuildFailed,),
    remembers=(BuildFailed, BuildPassed, RepositoryQuarantined),
    window=WindowSpec(events=50, age=timedelta(days=30)),
)

#: The time a test fails by itself at which somebody is asked to quarantine it, and the one at which nobody is asked.
ASK_AT: Final = 3
ACT_AT: Final = 6
#: Why the decision waits: a test that is not run finds nothing any more, so a person has to agree.
HOLD: Final = "quarantine"


@flaky.rules
def judge(build: BuildFailed, history: History) -> Decision:
    """A test that fails on a commit that has passed is flaky; anything else is the commit's fault."""
    passed = {past.data.commit for past in history.of(BuildPassed)}
    if build.commit not in passed:
        return Decision(outcome="broken", reason="no build of the commit has passed", emit=[_judged(build, "broken")])
    failed = [past.data for past in history.of(BuildFailed) if past.data.test == build.test]
    times = 1 + sum(earlier.commit in passed for earlier in failed)
    emit = [_judged(build, "flaky"), FlakyTestFound(repository_id=build.repository_id, test=build.test, times=times)]
    reason = f"it failed {times} times on commits that have passed"
    is_quarantined = any(past.data.test == build.test for past in history.of(RepositoryQuarantined))
    if times not in {ASK_AT, ACT_AT} or is_quarantined:
        return Decision(outcome="flaky", reason=reason, emit=emit)
    return Decision(
        outcome="quarantine",
        reason=reason,
        effects=[Quarantine(repository_id=build.repository_id, test=build.test)],
        emit=emit,
        hold=HOLD if times == ASK_AT else None,
        otherwise=(*emit, _escalation(build, history, reason)),
    )


class FlakyChoice(Choice):
    """Say whose fault the failed build is.

    Choose "flaky" when the test fails by itself, such as on a commit on which it has passed; "broken" when the commit
    is to blame.
    """

    verdict: Fault
    confidence: Sureness


@flaky.model(FlakyChoice)
def choose(choice: FlakyChoice, build: BuildFailed, _: History, by_rules: Decision) -> Decision:
    """Take the verdict of a model as far as policy permits."""
    reason = told(choice.verdict, by_rules, choice)
    found: Fault = "broken" if by_rules.outcome == "broken" else "flaky"
    if choice.verdict == found:
        return replace(by_rules, reason=reason, confidence=choice.confidence)
    if by_rules.effects:
        raise not_permitted("the rules ask for a quarantine")
    decision = Decision(
        outcome=choice.verdict, reason=reason, confidence=choice.confidence, emit=[_judged(build, choice.verdict)]
    )
    return downgraded(decision, by_rules) if choice.verdict == "flaky" else decision


def _judged(build: BuildFailed, verdict: Fault) -> FailureJudged:
    return FailureJudged(repository_id=build.repository_id, build_id=build.build_id, test=build.test, verdict=verdict)


def _escalation(build: BuildFailed, history: History, reason: str) -> EscalationRequested:
    return EscalationRequested(
        **repository.named(build.repository_id), failure="flaky_test", reason=reason, evidence=(history.event.id,)
    )
