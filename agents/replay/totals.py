"""Totals: how many decisions of each agent came out how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from agents.replay.comparison import Comparison, HistoryKind, Kind

#: Whether the code that a difference was recorded by is that of the replay.
SAME: Final = "same"
OTHER: Final = "other"
UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class Totals:
    """Counts comparisons; by agent in `kinds`, `histories` and `brains`."""

    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    histories: dict[str, Counter[str]] = field(default_factory=dict)
    #: Who decided in the replay.
    brains: dict[str, Counter[str]] = field(default_factory=dict)
    #: By which code those were decided that came out otherwise: `same`, `other`, `unknown`.
    codes: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, comparison: Comparison, code: Sequence[str] | None = None) -> None:
        """Count one; `code` is what of the code is another one now, None when that is not known."""
        self.kinds.setdefault(comparison.agent, Counter())[comparison.kind.value] += 1
        if comparison.kind is not Kind.SAME:
            by = UNKNOWN if code is None else OTHER if code else SAME
            self.codes.setdefault(comparison.agent, Counter())[by] += 1
        if comparison.history is not None:
            self.histories.setdefault(comparison.agent, Counter())[comparison.history.value] += 1
        if comparison.decided is not None:
            self.brains.setdefault(comparison.agent, Counter())[comparison.decided.brain] += 1

    @property
    def decisions(self) -> int:
        """All that were compared."""
        return sum(counts.total() for counts in self.kinds.values())

    @property
    def different(self) -> int:
        """Those that are not the same."""
        return self.decisions - sum(counts[Kind.SAME] for counts in self.kinds.values())

    def by_agent(self, agents: Iterable[str]) -> Mapping[str, Mapping[str, object]]:
        """Everything about these agents as JSON, every kind named."""
        return {
            agent: {
                **{kind.value: self.kinds.get(agent, Counter())[kind] for kind in Kind},
                "history": {kind.value: self.histories.get(agent, Counter())[kind] for kind in HistoryKind},
                "code": {name: self.codes.get(agent, Counter())[name] for name in (SAME, OTHER, UNKNOWN)},
                "brains": dict(sorted(self.brains.get(agent, Counter()).items())),
            }
            for agent in sorted(agents)
        }

    def to_json(self) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
        """All counts, to be read by `from_json`."""
        return {"kinds": self.kinds, "histories": self.histories, "brains": self.brains, "codes": self.codes}

    @classmethod
    def from_json(cls, stored: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**{name: {agent: Counter(of) for agent, of in each.items()} for name, each in stored.items()})
