"""Rows: what a statement returned, its columns by the names that the statement gives them.

A row is no sequence to whoever reads it: a column that is added, or moved, changes nothing for those who do not ask for
it. What has no name in the statement (an expression without `AS`, the second of two of one name) has none here.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, cast


class Row(Protocol):
    """One row; `row.topic` is the column `topic`."""

    def __getattr__(self, column: str) -> Any:
        """The value of a column, as psycopg2 reads it."""

    def _asdict(self) -> dict[str, Any]:
        """Every column by its name, in the order of the statement."""


def named(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Sequence[Row]:
    """The rows of a result with these columns."""
    return cast("Sequence[Row]", list(map(_row_class(tuple(columns))._make, rows)))


@lru_cache(maxsize=256)
def _row_class(columns: tuple[str, ...]) -> Any:
    # Named tuples are the cheapest values with names, and a relay reads thousands at a time.
    return namedtuple("Row", columns, rename=True)  # noqa: PYI024 - the names come with the result
