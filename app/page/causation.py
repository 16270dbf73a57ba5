"""Causation: lines between rows of a list, drawn beside it row by row. Pure.

A cause has a lane of its own, from its row down to the last row that followed from it; where one of those stands, the
lane bends into it. Rows may be of any height: the upper part of a row has the bends and a height that is known, the
rest is straight lines. Beyond `MOST_LANES` nothing is drawn; the words in the rows say it all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

#: Lanes beside each other. Own choice: a person does not follow more.
MOST_LANES: Final = 8
#: Sizes in pixels: between two lanes, from the last lane to the dot, height of the upper part, where the dot is.
STEP: Final = 10
HEIGHT: Final = 32
DOT: Final = 16


@dataclass(frozen=True, slots=True)
class Rail:
    """What is drawn beside one row."""

    width: int
    #: Where the row's own dot is, from the left.
    dot: int
    #: Paths of the upper part.
    bends: Sequence[str]
    #: From the left: the straight lines of the rest.
    lines: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Trunk:
    start: int
    ends: frozenset[int]
    lane: int

    @property
    def last(self) -> int:
        return max(self.ends)


def rails(rows: Sequence[str], links: Iterable[tuple[str, str]]) -> Sequence[Rail]:
    """What is drawn beside each row; `links` are causes with their effects, by the rows' names.

    A link to a row that is not there, or that stands before its cause, is not drawn.
    """
    place = {name: row for row, name in enumerate(rows)}
    effects: dict[int, set[int]] = {}
    for cause, effect in links:
        if cause in place and effect in place and place[cause] < place[effect]:
            effects.setdefault(place[cause], set()).add(place[effect])
    trunks = list(_lanes(effects))
    lanes = max((trunk.lane + 1 for trunk in trunks), default=0)
    width = (lanes + 1) * STEP + DOT // 2
    return [_rail(row, trunks, width) for row in range(len(rows))]


def _lanes(effects: dict[int, set[int]]) -> Iterable[_Trunk]:
    """Each cause in the first lane that is free from its row to its last effect."""
    free_from: list[int] = []
    for start in sorted(effects):
        last = max(effects[start])
        lane = next((at for at, row in enumerate(free_from) if row <= start), len(free_from))
        if lane >= MOST_LANES:
            continue
        free_from[lane : lane + 1] = [last]
        yield _Trunk(start, frozenset(effects[start]), lane)


def _rail(row: int, trunks: Sequence[_Trunk], width: int) -> Rail:
    dot = width - DOT // 2
    bends: list[str] = []
    lines: list[int] = []
    for trunk in trunks:
        x = dot - (trunk.lane + 1) * STEP
        if trunk.start == row:
            bends.append(f"M{dot} {DOT}Q{x} {DOT} {x} {HEIGHT}")
        elif trunk.start < row <= trunk.last:
            if row in trunk.ends:
                bends.append(f"M{x} 0Q{x} {DOT} {dot} {DOT}")
            if row < trunk.last:
                bends.append(f"M{x} 0V{HEIGHT}")
        if trunk.start <= row < trunk.last:
            lines.append(x)
    return Rail(width, dot, bends, lines)
