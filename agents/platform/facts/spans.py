"""Spans: what is about some span of time of a metric, found again by what is near in time without a look at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Metric, from and to.
Key = tuple[str, datetime, datetime]

#: What is nearer than this is found.
WITHIN: Final = timedelta(minutes=10)
#: A span that covers more pieces of that length is looked at every time. Own choice: monitors report every few minutes.
_MOST_PIECES: Final = 12


@dataclass(slots=True)
class Spans(Generic[T]):
    """Values by whom they are of and their spans; the last one holds."""

    _values: dict[tuple[str, Key], T] = field(default_factory=dict)
    _pieces: dict[tuple[str, int], dict[tuple[str, Key], None]] = field(default_factory=dict)

    def put(self, of: str, key: Key, value: T) -> None:
        """Keep a value in place of an earlier one."""
        if (of, key) not in self._values:
            for piece in _pieces(key):
                self._pieces.setdefault((key[0], piece), {})[of, key] = None
        self._values[of, key] = value

    def near(self, key: Key) -> Iterator[tuple[str, Key, T]]:
        """All of the metric whose spans touch this one or are less than `WITHIN` away, and perhaps some more."""
        found: dict[tuple[str, Key], None] = {}
        pieces = _pieces((key[0], key[1] - WITHIN, key[2] + WITHIN))
        if _ALL in pieces:
            yield from ((of, other, value) for (of, other), value in self._values.items() if other[0] == key[0])
            return
        for piece in (_ALL, *pieces):
            found |= self._pieces.get((key[0], piece), {})
        yield from ((of, other, self._values[of, other]) for of, other in found)


#: The piece of what is too long.
_ALL: Final = -1


def _pieces(key: Key) -> range | tuple[int]:
    first, last = (int(at.timestamp() // WITHIN.total_seconds()) for at in key[1:])
    return range(first, last + 1) if first >= 0 and last - first < _MOST_PIECES else (_ALL,)
