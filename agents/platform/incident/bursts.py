"""Bursts: the unexplained errors that follow a change of a service, and which change they speak against.

The verdict is a function of what happened and when, not of the sequence it became known in. It takes a few that failed,
and clearly more than before the change; a slow trickle of failures or a change weeks ago is left unexplained.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import log
from typing import Any, Final

from agents.model.history import EventKey, Trace
from agents.platform.events import MOST_EVIDENCE

#: How long after a change its first error may come. Our own choice: a daily job meets a change within a day.
HORIZON: Final = timedelta(hours=24)
#: A burst is over when this long nothing failed. Our own choice: quieter than any working day of a busy service.
QUIET: Final = timedelta(hours=6)
#: Changes that are weighed for one error: so many before the first error of its burst, the nearest, and so many since,
#: the latest. Own choice: a service that is changed more often in a day is not explained by counting.
MOST_CHANGES: Final = 8
#: Two changes are as likely when the errors speak for one less than e**0.5 (1.6) times as much as for the other. Own
#: choice.
AS_LIKELY: Final = 0.5
#: How many have to fail before a change is blamed, and how many times as many as in the same span before it.
ENOUGH_FAILED: Final = 3
CLEARLY_MORE: Final = 4


#: Stands for the change where several are as likely.
UNDECIDED: Final[EventKey] = ("", "")


@dataclass(frozen=True, slots=True)
class Unexplained:
    """An error that nothing of the entities it carries explains."""

    error_id: str
    #: When it happened, UTC.
    at: datetime
    #: Whom it is about besides the service, by field and id; nobody: an error of the service itself.
    carried: tuple[tuple[str, Any], ...] = ()
    #: What their own past offers instead, the likeliest first.
    alternatives: tuple[str, ...] = ()
    #: Who told of an error of the service itself.
    source: str = ""

    @property
    def counts_as(self) -> str:
        """Errors about one entity count once; each of the service's own counts."""
        return " ".join(self.carried[0]) if self.carried else f"error {self.error_id} of {self.source}"

    @property
    def is_of_service(self) -> bool:
        """Whether it is an error of the service itself."""
        return not self.carried

    def moved_to(self, error: Trace | None) -> Unexplained:
        """The same at the time of its error, if that is known."""
        return replace(self, at=error.at) if error and error.at != self.at else self


@dataclass(frozen=True, kw_only=True, slots=True)
class Burst:
    """Errors after a change: from the first, which is later than the change, to the last, both included."""

    change: Trace
    first_at: datetime
    last_at: datetime
    #: How many failed in the burst, and in as long a time before the change.
    after: int
    before: int
    #: The first errors, the earliest first.
    error_ids: tuple[str, ...]
    #: Changes that are as likely to blame: then nobody can say which one is.
    rivals: tuple[Trace, ...] = ()
    #: Whether errors of it are not remembered any more.
    is_cut: bool = False

    @property
    def verdict(self) -> EventKey:
        """What is said about its errors: the change to blame, or that there is no telling."""
        return UNDECIDED if self.rivals else self.change.key

    def __contains__(self, at: datetime) -> bool:
        return self.first_at <= at <= self.last_at

    @property
    def confidence(self) -> float:
        """The share of the failures that the change explains, as if one more had come before it: 3 to 0 give 0.75."""
        return round(self.after / (self.after + self.before + 1), 2)


class ErrorLog:
    """The unexplained errors of one service by their times, as they become known, and the changes before them.

    Errors mostly become known as they happened. Then each costs the same however many came before; one that
    comes late costs a look at all.
    """

    def __init__(self, *, is_cut: bool = False) -> None:
        #: Whether errors before the first one are not remembered any more.
        self._is_cut = is_cut
        #: When which change was named for an error before.
        self._named: list[tuple[datetime, str]] = []
        self._changes: list[Trace] = []
        self._by_id: dict[str, list[Trace]] = {}
        self._errors: list[Unexplained] = []
        #: Where each run of errors without a quiet time in it begins.
        self._runs: list[int] = []
        #: By the change: what was counted of its burst.
        self._counts: dict[EventKey, _Count] = {}

    def changed(self, change: Trace) -> None:
        """Take a change of the service in."""
        insort(self._changes, change, key=_of_change)
        self._by_id.setdefault(change.id, []).append(change)

    def named(self, change_id: str, at: datetime) -> None:
        """Take in that a change was blamed for an error of that time, or that people were told so."""
        insort(self._named, (at, change_id))

    def failed(self, error: Unexplained) -> bool:
        """Take an error in; tells whether it happened later than all that were known."""
        is_last = not self._errors or _of_error(self._errors[-1]) <= _of_error(error)
        insort(self._errors, error, key=_of_error)
        if is_last:
            self._extend_runs(len(self._errors) - 1)
        else:
            self._count_anew()
        return is_last

    def moved(self, error: Unexplained, to: Unexplained) -> None:
        """Give an error that was taken in another time."""
        place = bisect_left(self._errors, _of_error(error), key=_of_error)
        del self._errors[self._errors.index(error, place)]
        insort(self._errors, to, key=_of_error)
        self._count_anew()

    def blame(self, error: Unexplained) -> Burst | None:
        """The burst that holds this error, which was taken in, and whose change is to blame; None if there is none yet.

        Of several changes before the first error the nearest is to blame. In general it is the likeliest single point
        at which the rate of a Poisson process changed (Akman and Raftery, Asymptotic inference for a change-point
        Poisson process, Annals of Statistics 14, 1986), so that an error or two before the change do not hide it.
        """
        first, end = self._run(bisect_left(self._errors, _of_error(error), key=_of_error))
        is_cut = self._is_cut and first == 0
        known = self._named_before(first, error.at) if is_cut else None
        possible = self._since(known, first, end, error.at) if known else self._possible(first, error.at)
        if not possible:
            return None
        start_at = min(change.at for change in possible) - HORIZON
        likelihood = {change.key: self._likelihood(change, start_at) for change in possible}
        likeliest = max(possible, key=lambda change: (likelihood[change.key], change.at, change.id))
        least = likelihood[likeliest.key] - AS_LIKELY
        rivals = tuple(each for each in possible if each != likeliest and likelihood[each.key] > least)
        burst = self._burst(likeliest, end, rivals, is_cut=is_cut)
        # Asked last: a less likely change must not be named because the likeliest is not proven yet.
        return burst if _is_enough(burst) else None

    def last_after(self, change: Trace) -> Unexplained | None:
        """The last error of the run that the first error after a change belongs to; None when there is none."""
        place = bisect_right(self._errors, change.at, key=_at)
        if place == len(self._errors):
            return None
        _, end = self._run(place)
        return self._errors[end - 1]

    def between(self, change: Trace, later: Trace) -> int:
        """How many failed after a change and before a later one."""
        begin, end = (bisect_right(self._errors, each.at, key=_at) for each in (change, later))
        return len({each.counts_as for each in self._errors[begin:end]})

    def nearest_changes(self, error_at: datetime) -> Sequence[Trace]:
        """The changes that could have led to an error at that time, the nearest first."""
        earliest = bisect_left(self._changes, error_at - HORIZON, key=_at)
        return self._changes[earliest : bisect_left(self._changes, error_at, key=_at)][::-1]

    def _extend_runs(self, place: int) -> None:
        if place == 0 or self._errors[place].at - self._errors[place - 1].at > QUIET:
            self._runs.append(place)

    def _count_anew(self) -> None:
        self._counts.clear()
        self._runs.clear()
        for place in range(len(self._errors)):
            self._extend_runs(place)

    def _run(self, place: int) -> tuple[int, int]:
        """Where the run that holds this place begins and ends; the end is exclusive."""
        number = bisect_right(self._runs, place)
        return self._runs[number - 1], self._runs[number] if number < len(self._runs) else len(self._errors)

    def _possible(self, first: int, error_at: datetime) -> Sequence[Trace]:
        """The changes after which the run begins, or goes on, with an error that is no later than this time."""
        first_at = self._errors[first].at
        earliest_at = first_at - HORIZON
        if first:
            earliest_at = max(earliest_at, self._errors[first - 1].at)
        earliest, within, latest = (bisect_left(self._changes, at, key=_at) for at in (earliest_at, first_at, error_at))
        before = self._changes[max(earliest, within - MOST_CHANGES) : within]
        return [*before, *self._changes[max(within, latest - MOST_CHANGES) : latest]]

    def _named_before(self, first: int, error_at: datetime) -> Trace | None:
        """The change that was blamed last for a run whose beginning is not remembered, and that is before an error."""
        earliest = self._errors[first].at - QUIET
        for named_at, change_id in reversed(self._named):
            if named_at < earliest:
                break
            found = self._by_id.get(change_id, [])
            if len(found) == 1 and found[0].at < error_at:
                return found[0]
        return None

    def _since(self, known: Trace, first: int, end: int, error_at: datetime) -> Sequence[Trace]:
        """The last change since which clearly more fails than since the known one began to; else the known one.

        What came between is nearer to the first error that is left, and not to blame for that alone.
        """
        base, last_at = max(known.at, self._errors[first].at), self._errors[end - 1].at
        since, latest = (bisect_right(self._changes, at, key=_at) for at in (base, error_at))
        for change in reversed(self._changes[max(since, latest - MOST_CHANGES) : latest]):
            place = bisect_right(self._errors, change.at, key=_at)
            before, after = place - bisect_left(self._errors, base, key=_at), end - place
            # One more than there were before: in a short time few errors say little.
            is_more = after * (change.at - base) >= CLEARLY_MORE * (before + 1) * (last_at - change.at)
            if after >= ENOUGH_FAILED and change.at < error_at and is_more:
                return (change,)
        return (known,)

    def _likelihood(self, change: Trace, start_at: datetime) -> float:
        """Log-likelihood, up to a constant, of one rate of errors between the start and the change, another since."""
        since = len(self._errors) - bisect_right(self._errors, change.at, key=_at)
        before = len(self._errors) - since - bisect_left(self._errors, start_at, key=_at)
        return _term(before, change.at - start_at) + _term(since, self._errors[-1].at - change.at)

    def _burst(self, change: Trace, end: int, rivals: tuple[Trace, ...], *, is_cut: bool) -> Burst:
        """The errors after the change, up to the end of their run."""
        first = bisect_right(self._errors, change.at, key=_at)
        last_at = self._errors[end - 1].at
        begin = bisect_left(self._errors, change.at - (last_at - change.at), key=_at)
        count = self._counts.setdefault(change.key, _Count(first, first))
        count.reach(self._errors, begin, end)
        return Burst(
            change=change,
            first_at=self._errors[first].at,
            last_at=last_at,
            after=len(count.after),
            before=len(count.before),
            error_ids=self._first_ids(first, end),
            rivals=rivals,
            is_cut=is_cut,
        )

    def _first_ids(self, first: int, end: int) -> tuple[str, ...]:
        ids: dict[str, None] = {}
        for place in range(first, end):
            ids[self._errors[place].error_id] = None
            if len(ids) == MOST_EVIDENCE:
                break
        return tuple(ids)


@dataclass(slots=True)
class _Count:
    """Who failed on either side of a change: [begin, change) before it and [change, end) after it, by place."""

    begin: int
    end: int
    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)

    def reach(self, errors: Sequence[Unexplained], begin: int, end: int) -> None:
        """Count on to these places; a burst only grows."""
        self.before.update(each.counts_as for each in errors[begin : self.begin])
        self.after.update(each.counts_as for each in errors[self.end : end])
        self.begin, self.end = min(self.begin, begin), max(self.end, end)


def _is_enough(burst: Burst) -> bool:
    return burst.after >= ENOUGH_FAILED and burst.after >= CLEARLY_MORE * burst.before


def _term(count: int, span: timedelta) -> float:
    return count * log(count / max(1.0, span.total_seconds())) if count else 0.0


def _at(one: Trace | Unexplained) -> datetime:
    return one.at


def _of_change(change: Trace) -> tuple[datetime, str]:
    return change.at, change.id


def _of_error(error: Unexplained) -> tuple[datetime, str]:
    return error.at, error.error_id
