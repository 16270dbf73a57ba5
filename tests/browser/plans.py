"""What PostgreSQL did for a page: every statement's plan as it was executed (`auto_explain`), read from its log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Makes every new session tell what it does; the names are those of the module's documentation.
TELL: Final = """
ALTER DATABASE {database} SET session_preload_libraries = 'auto_explain';
ALTER DATABASE {database} SET auto_explain.log_min_duration = 0;
ALTER DATABASE {database} SET auto_explain.log_analyze = on;
ALTER DATABASE {database} SET auto_explain.log_timing = off;
ALTER DATABASE {database} SET auto_explain.log_format = json;
"""
_PLAN: Final = re.compile(r"plan:\n(\t\{.*?\n\t\})\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and how many rows all the steps of its plan looked at together."""

    text: str
    rows: int


class PlanLog:
    """The log of a PostgreSQL that tells its plans."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self, about: str) -> list[Statement]:
        """The statements since the last call that name this table."""
        told = self._path.read_text(encoding="utf-8", errors="replace")
        fresh, self._read = told[self._read :], len(told)
        plans = [json.loads(found) for found in _PLAN.findall(fresh)]
        return [
            Statement(plan["Query Text"], sum(_looked_at(plan["Plan"])))
            for plan in plans
            if re.search(rf"\b{about}\b", plan["Query Text"])
        ]


def _looked_at(node: dict[str, Any]) -> Iterator[int]:
    """The rows of each step: those it passed on, and those it looked at for nothing."""
    counted = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    yield round(sum(node.get(name, 0) for name in counted) * node.get("Actual Loops", 1))
    for below in node.get("Plans", ()):
        yield from _looked_at(below)
