"""Bursts: the unexplained errors that follow a change of a service, and which change they speak against.

The verdict is a function of what happened and when, not of the order it became known in. It takes a few orders, and
clearly more errors than before the change; a slow trickle of failures or a change weeks ago is left unexplained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import log
from typing import Final

from agents.normal import Trace

#: How long after a change its first error may come. Our own choice: a daily job meets a change within a day.
HORIZON: Final = timedelta(hours=24)
#: A burst is over when this long nothing failed. Our own choice: quieter than any working day of a busy service.
QUIET: Final = timedelta(hours=6)
#: Orders that have to fail before a change is blamed, and how many times as many as in the same span before it.
ENOUGH_ORDERS: Final = 3
CLEARLY_MORE: Final = 4


@dataclass(frozen=True, slots=True)
class Unexplained:
    """An error that no event of an order explains."""

    error_id: str
    #: When it happened, UTC.
    at: datetime
    #: None: an error of the service itself.
    order_id: str | None = None
    #: What the order's own past offers instead, the likeliest first.
    alternatives: tuple[str, ...] = ()

    @property
    def counts_as(self) -> str:
        """Errors of one order count once; each of the service's own counts."""
        return f"order {self.order_id}" if self.order_id else f"error {self.error_id}"

    def moved_to(self, error: Trace | None) -> Unexplained:
        """The same at the time of its error, if that is known."""
        return replace(self, at=error.at) if error else self


@dataclass(frozen=True, kw_only=True, slots=True)
class Burst:
    """Errors after a change: from the first, which is later than the change, to the last, both included."""

    change: Trace
    first_at: datetime
    last_at: datetime
    #: Orders that failed in the burst, and in as long a time before the change.
    after: int
    before: int
    #: The errors, the earliest first.
    error_ids: tuple[str, ...]

    def __contains__(self, at: datetime) -> bool:
        return self.first_at <= at <= self.last_at

    @property
    def confidence(self) -> float:
        """The share of the failures that the change explains, as if one more had come before it: 3 to 0 give 0.75."""
        return round(self.after / (self.after + self.before + 1), 2)


def blame(changes: Sequence[Trace], errors: Sequence[Unexplained], error_at: datetime) -> Burst | None:
    """The burst that holds the error at that time and whose change is to blame, or None if there is none yet.

    Of several changes before the first error the nearest is to blame. In general it is the likeliest single point at
    which the rate of a Poisson process changed (Akman and Raftery, Asymptotic inference for a change-point Poisson
    process, Annals of Statistics 14, 1986), so that an error or two before the change do not hide it.
    """
    bursts = [burst for change in changes if (burst := _burst_after(change, errors)) and error_at in burst]
    if not bursts:
        return None
    start_at = min(burst.change.at for burst in bursts) - HORIZON
    likeliest = max(
        bursts, key=lambda burst: (_likelihood(burst.change, errors, start_at), burst.change.at, burst.change.id)
    )
    # Asked last: a less likely change must not be named because the likeliest is not proven yet.
    return likeliest if _is_enough(likeliest) else None


def nearest_changes(changes: Sequence[Trace], error_at: datetime) -> Sequence[Trace]:
    """The changes that could have led to an error at that time, the nearest first."""
    possible = [change for change in changes if timedelta(0) < error_at - change.at <= HORIZON]
    return sorted(possible, key=lambda change: (change.at, change.id), reverse=True)


def _burst_after(change: Trace, errors: Sequence[Unexplained]) -> Burst | None:
    following = sorted((each for each in errors if each.at > change.at), key=lambda each: (each.at, each.error_id))
    if not following or following[0].at - change.at > HORIZON:
        return None
    gaps = (place for place, (one, other) in enumerate(pairwise(following), 1) if other.at - one.at > QUIET)
    burst = following[: next(gaps, None)]
    span = burst[-1].at - change.at
    before = {each.counts_as for each in errors if timedelta(0) <= change.at - each.at <= span}
    return Burst(
        change=change,
        first_at=burst[0].at,
        last_at=burst[-1].at,
        after=len({each.counts_as for each in burst}),
        before=len(before),
        error_ids=tuple(dict.fromkeys(each.error_id for each in burst)),
    )


def _is_enough(burst: Burst) -> bool:
    return burst.after >= ENOUGH_ORDERS and burst.after >= CLEARLY_MORE * burst.before


def _likelihood(change: Trace, errors: Sequence[Unexplained], start_at: datetime) -> float:
    """Log-likelihood, up to a constant, of one rate of errors between the start and the change, and another since."""
    times = [each.at for each in errors if each.at >= start_at]
    since = sum(at > change.at for at in times)
    return _term(len(times) - since, change.at - start_at) + _term(since, max(times) - change.at)


def _term(count: int, span: timedelta) -> float:
    return count * log(count / max(1.0, span.total_seconds())) if count else 0.0
