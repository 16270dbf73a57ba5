"""Floods: what is said again and again is said a few times a minute, then how often it was left out.

None hides what else is said. aiokafka says it hundreds of times a second when a broker is away (measured on one
worker), and one line for every bad record is as many lines as somebody likes to send records. Nothing is lost by
leaving lines out: dead letters are rows, what lasts is in readiness.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Records of one kind in a minute that are written: some per second would hide what else is said (own choice).
MOST: Final = 30
#: The length of that minute, in seconds.
PERIOD_SECONDS: Final = 60.0
#: Kinds that are counted at the same time; the one that began first is forgotten.
_KINDS: Final = 1000
#: Where a record keeps what was decided about it, for the next handler.
VERDICT: Final = "is_written"


@dataclass(slots=True)
class _Kind:
    since: float
    seen: int = 0


class FloodFilter(logging.Filter):
    """Lets pass `MOST` records of a kind in a period; a kind is a logger, a level and a text.

    The text is the one before its arguments are put in. What is critical always passes. `clock` is in seconds and does
    not go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: OrderedDict[tuple[str, int, object], _Kind] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written; the last one of a period says so, and the next one what was left out."""
        if not hasattr(record, VERDICT):
            setattr(record, VERDICT, record.levelno >= logging.CRITICAL or self._is_written(record))
        return bool(getattr(record, VERDICT))

    def _is_written(self, record: logging.LogRecord) -> bool:
        key, now = (record.name, record.levelno, str(record.msg)), self._clock()
        kind = self._kinds.get(key)
        if kind is None or now - kind.since >= PERIOD_SECONDS:
            left_out = 0 if kind is None else kind.seen - MOST
            self._kinds.pop(key, None)
            kind = self._kinds[key] = _Kind(now)
            if left_out > 0:
                record.msg = f"{record.msg} ({left_out} more of this kind were left out)"
            if len(self._kinds) > _KINDS:
                self._kinds.popitem(last=False)
        kind.seen += 1
        if kind.seen == MOST:
            record.msg = f"{record.msg} (more of this kind are left out for up to a minute)"
        return kind.seen <= MOST


def limit_floods() -> None:
    """Put the filter before what the root logger writes to; once logging is configured."""
    limit = FloodFilter()
    for handler in logging.getLogger().handlers:
        handler.addFilter(limit)
