"""Plans: which compensation answers which failure of an order in which state. This table is the policy.

The first row whose failure and state fit holds. What a row asks for and is done already is left out when it is carried
out: nothing is refunded, cancelled or asked for twice. What moves money or stops an order does so only while the
accounts of the order agree (`agents.shop.facts.account`); a person decides where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from agents.shop.failures import Failure
from agents.shop.recovery.order_state import OrderState

#: A label that fails for a passing reason is tried so many times. Own choice.
MAX_RETRIES: Final = 3


class Step(Enum):
    """One compensation."""

    REFUND_EVERYTHING = auto()
    REFUND_BEYOND = auto()
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
    #: Holds for the order and the event to blame, given by its id.
    when: Callable[[OrderState, str], bool]
    steps: tuple[Step, ...]

    @property
    def stops(self) -> bool:
        """Whether nothing of the order is to go on."""
        return self.failure is Failure.FRAUD_BLOCKED or Step.CANCEL_ORDER in self.steps

    @property
    def gives_back(self) -> bool:
        """Whether a later payment of the order that it stops is given back as well."""
        return self.stops and Step.ESCALATE not in self.steps


def always(_: OrderState, __: str) -> bool:
    """Any state."""
    return True


def shipped(order: OrderState, _: str) -> bool:
    """The goods are on their way: what was planned for goods in the warehouse is no longer right."""
    return order.is_shipped


def over(order: OrderState, _: str) -> bool:
    """There is nothing left to ship."""
    return order.is_shipped or order.is_cancelled


def disputed(order: OrderState, _: str) -> bool:
    """The accounts of the order disagree."""
    return order.account.is_disputed


def amended(order: OrderState, culprit_id: str) -> bool:
    """The order does not ask for the missing article any more."""
    return not order.asks_for_what_is_short(culprit_id)


def captured(order: OrderState, _: str) -> bool:
    """Money was taken and not given back."""
    return order.account.left_minor > 0


def paid(order: OrderState, _: str) -> bool:
    """Money was taken, and perhaps given back."""
    return bool(order.account.captures)


def paid_in_vain(order: OrderState, culprit_id: str) -> bool:
    """The capture to blame is one of those beyond what the order is worth, and what is kept is exactly its worth."""
    return bool(order.beyond(culprit_id))


def settled(order: OrderState, _: str) -> bool:
    """One of two captures was given back, and what is left is what the order is worth, or nothing."""
    account = order.account
    back = [capture for capture in account.captures if not account.left(capture)]
    settlement = account.settle()
    pays = settlement is not None and not settlement.extra and settlement.over_minor == 0
    return len(account.captures) > 1 and bool(back) and (pays or account.left_minor == 0)


def overpaid(order: OrderState, _: str) -> bool:
    """The customer paid more than the price."""
    settlement = order.account.settle()
    return settlement is not None and settlement.over_minor > 0


def paid_right(order: OrderState, _: str) -> bool:
    """The customer paid the price."""
    settlement = order.account.settle()
    return settlement is not None and settlement.over_minor == 0


def unclear_block(order: OrderState, culprit_id: str) -> bool:
    """The payment blocked is none of those taken, the goods are gone, or the accounts disagree."""
    is_strange = paid(order, culprit_id) and order.payment_of(culprit_id) is None
    return is_strange or order.is_shipped or order.account.is_disputed


def corrected(order: OrderState, _: str) -> bool:
    """The address was put right since."""
    return order.is_address_valid


def tried_often(order: OrderState, _: str) -> bool:
    """The shipment was tried again often enough."""
    return order.retries >= MAX_RETRIES


F, S = Failure, Step

# fmt: off
TABLE: Final[Sequence[Plan]] = (
    Plan(F.STOCK_SHORTAGE,    "escalate",          shipped,       (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "escalate",          disputed,      (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "escalate",          amended,       (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "refund_and_cancel", captured,      (S.REFUND_EVERYTHING, S.CANCEL_ORDER, S.NOTIFY)),
    Plan(F.STOCK_SHORTAGE,    "cancel",            always,        (S.CANCEL_ORDER, S.NOTIFY)),
    Plan(F.DUPLICATE_CAPTURE, "escalate",          disputed,      (S.ESCALATE,)),
    Plan(F.DUPLICATE_CAPTURE, "refund_capture",    paid_in_vain,  (S.REFUND_BEYOND, S.NOTIFY)),
    Plan(F.DUPLICATE_CAPTURE, "refunded_before",   settled,       ()),
    Plan(F.DUPLICATE_CAPTURE, "escalate",          always,        (S.ESCALATE,)),
    Plan(F.LABEL_FAILED,      "nothing_to_ship",   over,          ()),
    Plan(F.LABEL_FAILED,      "escalate",          tried_often,   (S.ESCALATE,)),
    Plan(F.LABEL_FAILED,      "retry_shipment",    always,        (S.RETRY_SHIPMENT,)),
    Plan(F.ADDRESS_INVALID,   "nothing_to_ship",   over,          ()),
    Plan(F.ADDRESS_INVALID,   "retry_shipment",    corrected,     (S.RETRY_SHIPMENT,)),
    Plan(F.ADDRESS_INVALID,   "ask_for_address",   always,        (S.ASK_FOR_ADDRESS,)),
    Plan(F.PRICE_CHANGED,     "escalate",          disputed,      (S.ESCALATE,)),
    Plan(F.PRICE_CHANGED,     "refund_difference", overpaid,      (S.REFUND_OVERPAID, S.NOTIFY)),
    Plan(F.PRICE_CHANGED,     "escalate",          paid_right,    (S.ESCALATE, S.NOTIFY)),
    Plan(F.PRICE_CHANGED,     "escalate",          always,        (S.ESCALATE,)),
    Plan(F.BAD_DEPLOYMENT,    "escalate",          always,        (S.ESCALATE,)),
    Plan(F.BAD_CONFIGURATION, "escalate",          always,        (S.ESCALATE,)),
    Plan(F.FRAUD_BLOCKED,     "escalate",          unclear_block, (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.FRAUD_BLOCKED,     "refund_and_stop",   captured,      (S.CANCEL_FULFILMENT, S.REFUND_EVERYTHING)),
    Plan(F.FRAUD_BLOCKED,     "stop",              paid,          (S.CANCEL_FULFILMENT,)),
    Plan(F.FRAUD_BLOCKED,     "escalate",          always,        (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.UNKNOWN,           "escalate",          always,        (S.ESCALATE,)),
)
# fmt: on

#: For what is taken after an order was stopped.
LATE_PAYMENT: Final = Plan(Failure.UNKNOWN, "refund_late_payment", always, (Step.REFUND_EVERYTHING,))
#: For a failure nobody here knows, and for a guess.
ESCALATE: Final = Plan(Failure.UNKNOWN, "escalate", always, (Step.ESCALATE,))


def plan_for(failure: str, culprit_id: str, order: OrderState) -> Plan:
    """The plan for a failure: the first row that fits; a failure nobody here knows is escalated."""
    return next((plan for plan in TABLE if plan.failure == failure and plan.when(order, culprit_id)), ESCALATE)
