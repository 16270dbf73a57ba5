"""Shadows compared with the live agents: how often both decide the same, and where they do not.

The same is the same outcome and the same messages but for their ids; reasons and confidences may differ. Reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from outbox.database import Database, Row, queries
from outbox.records import SHADOW_MARK

_SQL: Final = queries("shadow.sql")


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """One shadow and the live agent of its name."""

    agent: str
    label: str
    #: Events the shadow has decided on, and those of them that the live agent has decided on too.
    decisions: int
    compared: int
    same_outcome: int
    same_messages: int
    #: Outcome and messages.
    same: int
    #: Events the live agent alone has decided on, among those that the shadow has read.
    only_live: int
    #: What the shadow could not decide on.
    dead_letters: int

    @property
    def shadow(self) -> str:
        """The name of the shadow's decisions."""
        return f"{self.agent}{SHADOW_MARK}{self.label}"

    @property
    def rate(self) -> float | None:
        """Share of what was compared that is the same, 0 to 1; None while nothing is."""
        return self.same / self.compared if self.compared else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What one of them decided."""

    decision_id: str
    outcome: str
    reason: str
    confidence: float
    brain: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """An event both decided on, and not the same."""

    event_source: str
    event_id: str
    event_type: str
    entity: str
    entity_id: str
    #: When the shadow did.
    decided_at: datetime
    #: None when those of one of them are no longer kept.
    same_messages: bool | None
    #: Whether both knew the same when they decided.
    same_history: bool
    shadow: Side
    live: Side


async def agreements(database: Database, label: str | None = None) -> Sequence[Agreement]:
    """Every shadow that has decided anything, or those of one label. Raises `DatabaseUnavailable`."""
    return [_agreement(row) for row in await database.run(_SQL["agreements"], {"label": label})]


async def disagreements(
    database: Database, shadow: str, *, limit: int, before: str | None = None
) -> Sequence[Disagreement]:
    """The newest disagreements of the shadow with this name (`Agreement.shadow`), or those before that decision.

    Raises `DatabaseUnavailable`.
    """
    rows = await database.run(_SQL["disagreements"], {"shadow": shadow, "limit": limit, "before": before})
    return [_disagreement(row) for row in rows]


def _agreement(row: Row) -> Agreement:
    counted = row._asdict()
    agent, _, label = counted.pop("shadow").partition(SHADOW_MARK)
    return Agreement(agent=agent, label=label, **counted)


def _disagreement(row: Row) -> Disagreement:
    columns = row._asdict()
    shadow, live = _side(columns, "shadow"), _side(columns, "live")
    return Disagreement(**columns, shadow=shadow, live=live)


def _side(columns: dict[str, Any], side: str) -> Side:
    """Take the columns of one of the two out of those of a disagreement."""
    names = ("decision_id", "outcome", "reason", "confidence", "brain")
    return Side(**{name: columns.pop(f"{side}_{name}") for name in names})
