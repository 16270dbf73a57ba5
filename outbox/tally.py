"""Tallies: what was done how often since the start, by a few words each; whoever watches the process reads them.

Kept where the work is done and for batches of it: adding costs a call for each batch, and reading none to anybody else.
The words come from agents and their rules, so how many different ones are told apart is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

#: What one number is of: a word for each of its labels.
Words = tuple[str, ...]

#: Different words that are told apart. Own choice: as many series of one metric are a lot for whoever stores them.
MOST_WORDS: Final = 1000
#: Stands for all words beyond.
OTHER: Final = "other"


class Tally:
    """Counts by words; those beyond the first `most` different ones are counted together, as `other`."""

    def __init__(self, most: int = MOST_WORDS) -> None:
        self._most = most
        self._counts: Counter[Words] = Counter()

    def add(self, done: Iterable[Words]) -> None:
        """Count each of these once; all have equally many words."""
        self._counts.update(done)
        if len(self._counts) > self._most:
            self._fold()

    def add_amount(self, words: Words, amount: int) -> None:
        """Count these words that many times; an amount is never below 0."""
        self._counts[words] += amount
        if len(self._counts) > self._most:
            self._fold()

    def counts(self) -> Mapping[Words, int]:
        """What was counted until now."""
        return dict(self._counts)

    def _fold(self) -> None:
        # What was seen first stays, so that a number that somebody has read never goes down.
        for words in list(self._counts)[self._most :]:
            others = (OTHER,) * len(words)
            if words != others:
                self._counts[others] += self._counts.pop(words)
