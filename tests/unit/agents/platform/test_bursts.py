"""Which change the errors of a service speak against: the log that grows by one is held to a look at everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import log

from fakes import NOON
from hypothesis import given
from hypothesis import strategies as st

from agents.model.history import Trace
from agents.platform.incident.bursts import ErrorLog, Unexplained

DAY, QUIET = timedelta(days=1), timedelta(hours=6)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def change(number: int, hours: float) -> Trace:
    return Trace(f"c{number}", at(hours), "urn:test:ops")


def error(number: int, hours: float, order: int | None = None) -> Unexplained:
    return Unexplained(f"e{number}", at(hours), () if order is None else (("order_id", f"o-{order}"),))


def logged(changes: Sequence[Trace], errors: Sequence[Unexplained]) -> ErrorLog:
    grown = ErrorLog()
    for each in changes:
        grown.changed(each)
    for one in errors:
        grown.failed(one)
    return grown


def blamed(changes: Sequence[Trace], errors: Sequence[Unexplained]) -> tuple[str, int, int] | None:
    """The change to blame for the last error, and who failed after it and before it, from all there is."""
    runs = {each.id: run for each in changes if (run := run_after(each, errors)) and errors[-1] in run}
    if not runs:
        return None
    start = min(each.at for each in changes if each.id in runs) - DAY
    _, _, culprit = max((likelihood(each.at, errors, start), each.at, each.id) for each in changes if each.id in runs)
    [since] = [each.at for each in changes if each.id == culprit]
    span = runs[culprit][-1].at - since
    after = len({each.counts_as for each in runs[culprit]})
    before = len({each.counts_as for each in errors if since - span <= each.at <= since})
    return (culprit, after, before) if after >= 3 and after >= 4 * before else None


def run_after(one: Trace, errors: Sequence[Unexplained]) -> Sequence[Unexplained]:
    later = sorted((each for each in errors if each.at > one.at), key=lambda each: (each.at, each.error_id))
    if not later or later[0].at - one.at > DAY:
        return ()
    ends = (place for place, (this, that) in enumerate(pairwise(later), 1) if that.at - this.at > QUIET)
    return later[: next(ends, None)]


def likelihood(since: datetime, errors: Sequence[Unexplained], start: datetime) -> float:
    times = [each.at for each in errors if each.at >= start]
    after = sum(each > since for each in times)

    def term(count: int, span: timedelta) -> float:
        return count * log(count / max(1.0, span.total_seconds())) if count else 0.0

    return term(len(times) - after, since - start) + term(after, max(times) - since)


HOURS = st.integers(0, 200).map(lambda quarter: quarter / 4)


@given(
    st.lists(HOURS, max_size=8),
    st.lists(st.tuples(HOURS, st.none() | st.integers(0, 5)), min_size=1, max_size=25),
    st.booleans(),
)
def test_a_log_that_grew_says_what_a_look_at_everything_says(
    deployed: list[float], failed: list[tuple[float, int | None]], in_order: bool
) -> None:
    changes = [change(number, hours) for number, hours in enumerate(deployed)]
    times = sorted(failed, key=lambda each: each[0]) if in_order else failed
    errors = [error(number, hours, order) for number, (hours, order) in enumerate(times)]
    grown = logged(changes, ())
    for known, latest in enumerate(errors, 1):
        grown.failed(latest)
        burst = grown.blame(latest)
        found = None if burst is None else (burst.change.id, burst.after, burst.before)
        assert found == blamed(changes, errors[:known])


def test_an_error_that_was_given_another_time_counts_where_it_happened() -> None:
    errors = [error(1, 30, 1), error(2, 30.1, 2), error(3, 30.2, 3)]
    grown = logged([change(1, 0)], errors)
    assert grown.blame(errors[-1]) is None
    moved = [error(number, number / 10, number) for number in (1, 2, 3)]
    for one, to in zip(errors, moved, strict=True):
        grown.moved(one, to)
    burst = grown.blame(moved[-1])
    assert burst is not None
    assert (burst.change.id, burst.first_at, burst.last_at, burst.after) == ("c1", at(0.1), at(0.3), 3)


def test_the_first_errors_of_a_burst_are_named_each_once() -> None:
    errors = [error(number // 2, 1 + number / 100, number) for number in range(40)]
    burst = logged([change(1, 0)], errors).blame(errors[-1])
    assert burst is not None
    assert burst.error_ids == tuple(f"e{number}" for number in range(10))


def test_of_very_many_changes_the_nearest_before_the_burst_is_still_found() -> None:
    changes = [change(number, number / 100) for number in range(200)]
    errors = [error(number, 3 + number / 100, number) for number in range(50)]
    burst = logged(changes, errors).blame(errors[-1])
    assert burst is not None
    assert (burst.change.id, burst.after, burst.before) == ("c199", 50, 0)
