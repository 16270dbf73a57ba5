"""Counts: what was committed since the start of this process, for whoever watches it.

What a lost connection leaves unknown, and is found to be there, is counted as a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from outbox.records import DeadLetter, DecisionRecord, Effect
from outbox.tally import Tally

#: Is told of the effects that a decision has made.
OnEffects = Callable[[Sequence[Effect]], None]


def tell_nobody(_effects: Sequence[Effect]) -> None:
    """Nobody asks for effects."""


class Counts:
    """Of one writer. `on_effects` is told of what decisions have done, after their commit."""

    def __init__(self, on_effects: OnEffects = tell_nobody) -> None:
        #: By agent, outcome, brain, reason for falling back to the rules (empty: none) and status.
        self.decisions = Tally()
        #: Events that were decided on before, by agent.
        self.copies = Tally()
        #: By consumer and reason.
        self.dead_letters = Tally()
        self._on_effects = on_effects

    def committed(
        self,
        records: Mapping[str, DecisionRecord],
        new: Mapping[str, tuple[bool, int | None]],
        copies: Sequence[DecisionRecord],
    ) -> None:
        """Take in a batch: its decisions by id, those that are new with whether they went too far, and the copies."""
        written = [(records[key], found[0]) for key, found in new.items()]
        self.decisions.add(
            [
                (r.agent, r.outcome, r.brain, r.fallback_reason or "", "refused" if is_refused else r.status)
                for r, is_refused in written
            ]
        )
        if copies:
            self.copies.add([(record.agent,) for record in copies])
        for record, is_refused in written:
            if record.effects and record.status == "committed" and not is_refused:
                self._on_effects(record.effects)

    def buried(self, letter: DeadLetter) -> None:
        """Take in a dead letter."""
        self.dead_letters.add([(letter.consumer, letter.reason)])
