"""Stamps: the timestamps of Kafka records as times, whatever a producer wrote there. Pure.

A stamp is a number that every producer chooses: milliseconds since 1970, but also -1 for none, seconds or microseconds
by mistake, or anything of 64 bits. Older brokers take all of them, newer ones bound it on one side only.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

#: Stands for a stamp that is no time.
NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: What a record's time can be: a stamp before the first release of Kafka was not made by a clock.
_FIRST: Final = datetime(2011, 1, 1, tzinfo=UTC)
#: How far ahead of our clock a stamp may be: as far as brokers let producers be ahead of theirs since Kafka 4
#: (`message.timestamp.after.max.ms`, one hour).
_AHEAD: Final = timedelta(hours=1)
#: Beyond it PostgreSQL knows years that Python does not, and the years around it do not survive a change of zone.
_LAST_YEAR: Final = 9998

#: How far an event may be ahead of its record: two clocks of one producer's systems are not the same (own choice).
ALLOWANCE: Final = timedelta(minutes=5)


def instant(stamp_ms: float | None) -> datetime:
    """The time of a stamp, UTC; `NO_TIME` for what is none between 1970 and 9998."""
    return _instant(stamp_ms) or NO_TIME


def is_time(stamp_ms: float | None) -> bool:
    """Whether a stamp is a time between 1970 and 9998."""
    return _instant(stamp_ms) is not None


def remark(stamp_ms: float | None) -> str:
    """What the detail of a dead letter says about a stamp that is no time; nothing about one that is."""
    return "" if is_time(stamp_ms) else f" (its record has the timestamp {stamp_ms}, which is no time)"


def latest(stamp_ms: float | None, *, now: datetime) -> datetime:
    """The time after which an event of this record cannot have happened, UTC: that of the record.

    A stamp that cannot be true, before there was Kafka or an hour ahead of `now`, says nothing: then it is `now`.
    """
    found = _instant(stamp_ms)
    return found if found is not None and _FIRST <= found <= now + _AHEAD else now


def _instant(stamp_ms: float | None) -> datetime | None:
    if stamp_ms is None or stamp_ms < 0:
        return None
    try:
        found = NO_TIME + timedelta(milliseconds=stamp_ms)
    except OverflowError:
        return None
    return found if found.year <= _LAST_YEAR else None
