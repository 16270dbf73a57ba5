"""Series: how much waited to be published lately, and for how long, as far as this worker has looked.

In memory and bounded; a worker that was started again begins anew. It looks while somebody has a page open: where
nobody did there is a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

#: Samples that are kept: ten minutes of one a second.
KEPT: Final = 600
#: Between two samples that are further apart, in seconds, nobody looked.
GAP_SECONDS: Final = 10.0
#: Fewer samples do not say whether something rises.
_TELLING: Final = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The outbox at a moment."""

    at: datetime
    #: Messages that wait, counted up to a bound.
    pending: int
    #: For how long the oldest of them has waited.
    oldest_seconds: float


class OutboxSeries:
    """The newest samples, oldest first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._samples: deque[Sample] = deque(maxlen=kept)

    def add(self, sample: Sample) -> None:
        """Take one in, unless it is not later than the last one."""
        if not self._samples or sample.at > self._samples[-1].at:
            self._samples.append(sample)

    @property
    def samples(self) -> Sequence[Sample]:
        """All that are kept."""
        return tuple(self._samples)


def as_columns(samples: Sequence[Sample]) -> Sequence[Sequence[float | None]]:
    """Seconds since 1970, messages, seconds of waiting, as they are drawn; a gap is a None between two samples."""
    times: list[float | None] = []
    pending: list[float | None] = []
    oldest: list[float | None] = []
    before: float | None = None
    for sample in samples:
        at = round(sample.at.timestamp(), 3)
        if before is not None and at - before > GAP_SECONDS:
            times.append(before + GAP_SECONDS / 2)
            pending.append(None)
            oldest.append(None)
        times.append(at)
        pending.append(sample.pending)
        oldest.append(round(sample.oldest_seconds, 1))
        before = at
    return [times, pending, oldest]


def latest(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Those since nobody looked for the last time."""
    begins = 0
    for place, (one, following) in enumerate(pairwise(samples), start=1):
        if (following.at - one.at).total_seconds() > GAP_SECONDS:
            begins = place
    return samples[begins:]


def is_rising(values: Sequence[float]) -> bool:
    """Whether all of the last third is above all of the first one: more than what comes and goes."""
    third = len(values) // 3
    return len(values) >= _TELLING and min(values[-third:]) > max(values[:third])
