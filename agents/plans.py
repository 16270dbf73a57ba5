"""Plans: which compensation answers which failure of an order in which state. This table is the policy.

The first row whose failure and state fit holds. What a row asks for and is done already is left out when it is carried
out: nothing is refunded, cancelled or asked for twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from agents.causes import Failure
from agents.order_state import OrderState

#: Below this, a verdict is a guess, and a person decides. Own choice: at even odds a wrong refund is as likely as not.
SURE_FROM: Final = 0.5
#: The most that a verdict may claim on which only a person shall act.
GUESS_TO: Final = 0.49
#: A label that fails for a passing reason is tried so many times. Own choice.
MAX_RETRIES: Final = 3


class Step(Enum):
    """One compensation."""

    REFUND_EVERYTHING = auto()
    REFUND_CULPRIT = auto()
    REFUND_OVERPAID = auto()
    CANCEL_ORDER = auto()
    CANCEL_FULFILMENT = auto()
    RETRY_SHIPMENT = auto()
    ASK_FOR_ADDRESS = auto()
    NOTIFY = auto()
    ESCALATE = auto()


@dataclass(frozen=True, slots=True)
class Plan:
    """A row of the table."""

    failure: Failure
    #: The outcome of the decision.
    name: str
    when: Callable[[OrderState], bool]
    steps: tuple[Step, ...]

    @property
    def stops(self) -> bool:
        """Whether nothing of the order is to go on, so that a later payment is given back as well."""
        return self.failure is Failure.FRAUD_BLOCKED or Step.CANCEL_ORDER in self.steps


def always(_: OrderState) -> bool:
    """Any state."""
    return True


def shipped(order: OrderState) -> bool:
    """The goods are on their way: what was planned for goods in the warehouse is no longer right."""
    return order.is_shipped


def over(order: OrderState) -> bool:
    """There is nothing left to ship."""
    return order.is_shipped or order.is_cancelled


def captured(order: OrderState) -> bool:
    """Money was taken and not given back."""
    return any(order.left(capture) for capture in order.captures)


def paid(order: OrderState) -> bool:
    """Money was taken, and perhaps given back."""
    return bool(order.captures)


def captured_twice(order: OrderState) -> bool:
    """There is a capture to keep besides the one to give back."""
    return sum(order.left(capture) > 0 for capture in order.captures) > 1


def paid_twice(order: OrderState) -> bool:
    """Two payments were taken, and perhaps given back."""
    return len(order.captures) > 1


def overpaid(order: OrderState) -> bool:
    """The customer paid more than the price."""
    return order.overpaid() > 0


def corrected(order: OrderState) -> bool:
    """The address was put right since."""
    return order.is_address_valid


def tried_often(order: OrderState) -> bool:
    """The shipment was tried again often enough."""
    return order.done.retries >= MAX_RETRIES


F, S = Failure, Step

# fmt: off
TABLE: Final[Sequence[Plan]] = (
    Plan(F.STOCK_SHORTAGE,    "escalate",          shipped,        (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "refund_and_cancel", captured,       (S.REFUND_EVERYTHING, S.CANCEL_ORDER, S.NOTIFY)),
    Plan(F.STOCK_SHORTAGE,    "cancel",            always,         (S.CANCEL_ORDER, S.NOTIFY)),
    Plan(F.DUPLICATE_CAPTURE, "refund_capture",    captured_twice, (S.REFUND_CULPRIT, S.NOTIFY)),
    Plan(F.DUPLICATE_CAPTURE, "refunded_before",   paid_twice,     ()),
    Plan(F.DUPLICATE_CAPTURE, "escalate",          always,         (S.ESCALATE,)),
    Plan(F.LABEL_FAILED,      "nothing_to_ship",   over,           ()),
    Plan(F.LABEL_FAILED,      "escalate",          tried_often,    (S.ESCALATE,)),
    Plan(F.LABEL_FAILED,      "retry_shipment",    always,         (S.RETRY_SHIPMENT,)),
    Plan(F.ADDRESS_INVALID,   "nothing_to_ship",   over,           ()),
    Plan(F.ADDRESS_INVALID,   "retry_shipment",    corrected,      (S.RETRY_SHIPMENT,)),
    Plan(F.ADDRESS_INVALID,   "ask_for_address",   always,         (S.ASK_FOR_ADDRESS,)),
    Plan(F.PRICE_CHANGED,     "refund_difference", overpaid,       (S.REFUND_OVERPAID, S.NOTIFY)),
    Plan(F.PRICE_CHANGED,     "escalate",          always,         (S.ESCALATE, S.NOTIFY)),
    Plan(F.BAD_DEPLOYMENT,    "escalate",          always,         (S.ESCALATE,)),
    Plan(F.BAD_CONFIGURATION, "escalate",          always,         (S.ESCALATE,)),
    Plan(F.FRAUD_BLOCKED,     "refund_and_stop",   captured,       (S.CANCEL_FULFILMENT, S.REFUND_EVERYTHING)),
    Plan(F.FRAUD_BLOCKED,     "stop",              paid,           (S.CANCEL_FULFILMENT,)),
    Plan(F.FRAUD_BLOCKED,     "escalate",          always,         (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.UNKNOWN,           "escalate",          always,         (S.ESCALATE,)),
)
# fmt: on

#: For what is taken after an order was stopped.
LATE_PAYMENT: Final = Plan(Failure.UNKNOWN, "refund_late_payment", always, (Step.REFUND_EVERYTHING,))
#: For a failure nobody here knows, and for a guess.
ESCALATE: Final = Plan(Failure.UNKNOWN, "escalate", always, (Step.ESCALATE,))


def plan_for(failure: str, order: OrderState) -> Plan:
    """The plan for a failure: the first row that fits; a failure nobody here knows is escalated."""
    return next((plan for plan in TABLE if plan.failure == failure and plan.when(order)), ESCALATE)
