"""Findings: what the answers of an investigation are as events, and how they read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from agents.model.history import Trace
from agents.platform.events import (
    BAD_CONFIGURATION,
    BAD_DEPLOYMENT,
    INCONCLUSIVE,
    MOST_ALTERNATIVES,
    MOST_EVIDENCE,
    MOST_RULED_OUT,
    UNKNOWN,
    EscalationRequested,
    RootCauseIdentified,
    RuledOut,
)
from agents.platform.incident.bursts import ENOUGH_FAILED, Burst
from agents.platform.incident.investigation import Answer, Investigation

#: How sure it is when no change explains the error.
UNSURE: Final = 0.1
#: How many of those that failed an escalation names. A person reads it; verdicts name all. Own choice.
MOST_NAMED: Final = 20


def failure_of(burst: Burst | None, investigation: Investigation) -> str:
    """What the errors of a burst are called; none: unknown."""
    if burst is None:
        return UNKNOWN
    if burst.rivals:
        return INCONCLUSIVE
    return BAD_CONFIGURATION if burst.change.key in investigation.configurations else BAD_DEPLOYMENT


def reason_for(answers: Sequence[Answer]) -> str:
    """Why these answers are given, for people."""
    burst = answers[0].burst
    if burst is None:
        return "too few unexplained errors after a change of the service to blame it"
    counts = f"{_counts(burst)} failed after {_changes(burst)}, {burst.before} in as long before it"
    return f"{counts}; answers revised: {len(answers) - 1}"


def identified(
    answers: Sequence[Answer], service_id: str, investigation: Investigation
) -> Iterator[RootCauseIdentified]:
    """Every answer as an event."""
    burst = answers[0].burst
    # All share what could have led to them, the nearest first.
    changes = investigation.log.nearest_changes(burst.first_at if burst else answers[0].about.at)
    ruled_out = _ruled_out(burst, changes, investigation) if burst else ()
    missing = _missing(burst, changes)
    for answer in answers:
        culprit = burst.change.id if burst and not burst.rivals else None
        # One may be the culprit.
        likeliest = [change.id for change in changes[: MOST_ALTERNATIVES + 1]]
        others = [each for each in dict.fromkeys([*likeliest, *answer.about.alternatives]) if each != culprit]
        yield RootCauseIdentified(
            service=service_id,
            error_event_id=answer.about.error_id,
            culprit_event_id=culprit,
            failure=failure_of(burst, investigation),
            confidence=burst.confidence if burst and not burst.rivals else UNSURE,
            evidence=_evidence(answer),
            alternatives=tuple(others[:MOST_ALTERNATIVES]),
            missing=missing,
            ruled_out=ruled_out,
            **dict(answer.about.carried),
        )


def escalation(answers: Sequence[Answer], service_id: str, investigation: Investigation) -> EscalationRequested:
    """What operators are told of an incident when it is recognised: the change first, and whom it met so far."""
    burst = answers[0].burst
    reason = reason_for(answers)
    if burst is not None:
        met = sorted({f"{name} {value}" for each in answers for name, value in each.about.carried})
        named = ", ".join(met[:MOST_NAMED])
        more = f" and {len(met) - MOST_NAMED} more" if len(met) > MOST_NAMED else ""
        whom = f"; so far: {named}{more}" if met else ""
        reason = f"{reason}{whom}; everyone it meets gets a verdict that names the same"
    return EscalationRequested(
        service=service_id,
        failure=failure_of(burst, investigation),
        reason=reason,
        evidence=_evidence(answers[0]),
        # A burst has many errors, and which of them is answered first hangs on what arrives when.
        incident_id=None if burst else answers[0].about.error_id,
    )


def _counts(burst: Burst) -> str:
    return f"at least {burst.after}" if burst.is_cut else str(burst.after)


def _changes(burst: Burst) -> str:
    named = " or ".join(each.id for each in (burst.change, *burst.rivals))
    return f"change {named}"


def _missing(burst: Burst | None, changes: Sequence[Trace]) -> tuple[str, ...]:
    """What would decide it."""
    if burst is None:
        few = f"at least {ENOUGH_FAILED} that fail after a change, and clearly more than before it"
        return (few,) if changes else ()
    if burst.rivals:
        return (f"what failed between {' and '.join(each.id for each in (burst.change, *burst.rivals))}",)
    return ()


def _ruled_out(burst: Burst, changes: Sequence[Trace], investigation: Investigation) -> tuple[RuledOut, ...]:
    """The other changes, the nearest first, and what speaks against each."""
    suspects = {each.key for each in (burst.change, *burst.rivals)}
    since = investigation.log.nearest_changes(burst.last_at)
    others = {each.key: each for each in (*changes, *since) if each.key not in suspects}
    return tuple(
        RuledOut(event_id=each.id, why=_why_not(each, burst, investigation))
        for each in list(others.values())[:MOST_RULED_OUT]
    )


def _why_not(change: Trace, burst: Burst, investigation: Investigation) -> str:
    if change.at >= burst.first_at:
        return "these errors had begun before it"
    if change.at > burst.change.at:
        return f"it came while errors after {burst.change.id} went on, or they speak for it less"
    failed = investigation.log.between(change, burst.change)
    return f"{failed} failed between it and {burst.change.id}, {_counts(burst)} since then"


def _evidence(answer: Answer) -> tuple[str, ...]:
    """The change, the error itself and the first errors after the change."""
    if answer.burst is None:
        return (answer.about.error_id,)
    suspects = [each.id for each in (answer.burst.change, *answer.burst.rivals)]
    ids = dict.fromkeys([*suspects, answer.about.error_id, *answer.burst.error_ids])
    return tuple(ids)[:MOST_EVIDENCE]
