"""Books: the money of one order as the shop itself counts it, which is the truth that agents are measured by.

Kept beside what is told, from what really happens: a capture reported twice is one here, and a price that is told of
too late changes nothing. Amounts are in minor units of the order's currency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from app.simulator.truth import Capture, Moment


class Books:
    """What was captured for an order and given back, what it is worth, and whether it can be delivered."""

    def __init__(self, worth_minor: int) -> None:
        self.captures: list[Capture] = []
        #: What the customer has to pay for the order; it is settled when they first pay.
        self.worth_minor = worth_minor
        #: What was agreed on before a price changed.
        self.agreed_minor = worth_minor
        self.is_shipped = False
        #: Nobody wants the order any more.
        self.is_off = False
        #: It was paid with a stolen card or account: all of it is owed to whom that belongs.
        self.is_stolen = False
        #: What was told contradicts itself: what is owed is for a person to say, and nothing may move.
        self.is_unclear = False
        #: Skus of which pieces are missing.
        self.short: set[str] = set()
        self._returned: Counter[str] = Counter()
        self._moments: list[Moment] = []

    @property
    def moments(self) -> Sequence[Moment]:
        """The account after each event that changed it."""
        return self._moments

    @property
    def can_be_delivered(self) -> bool:
        """Whether the customer gets, or has, what they paid for."""
        return self.is_shipped or not (self.short or self.is_off)

    @property
    def left_minor(self) -> dict[str, int]:
        """What of each payment nobody gave back."""
        return {each.payment_id: each.amount_minor - self._returned[each.payment_id] for each in self.captures}

    @property
    def owed_minor(self) -> int:
        """What was captured and neither given back by anyone nor covered by what can still be delivered."""
        if self.is_unclear:
            return 0
        covered = self.worth_minor if self.can_be_delivered and not self.is_stolen else 0
        return max(0, sum(self.left_minor.values()) - covered)

    @property
    def is_paid(self) -> bool:
        """Whether the order is paid in full, and wanted."""
        due = min(self.agreed_minor, self.worth_minor)
        return not self.is_off and not self.is_unclear and sum(self.left_minor.values()) >= due

    def give_back(self, payment_id: str, minor: int) -> None:
        """Somebody other than the agents gives money back: support, or the customer's bank."""
        self._returned[payment_id] += minor

    def note(self, event_id: str) -> None:
        """Write down what the account is after an event."""
        moment = Moment(
            event_id=event_id,
            owed_minor=self.owed_minor,
            left_minor=self.left_minor,
            is_paid=self.is_paid,
            can_be_delivered=self.can_be_delivered,
        )
        last = self._moments[-1] if self._moments else None
        if last is None or replace(moment, event_id=last.event_id) != last:
            self._moments.append(moment)
