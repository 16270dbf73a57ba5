"""Plans: which compensation answers which failure of an order in which state. This table is the policy.

The first row whose failure and state fit holds. What a row asks for and is done already is left out when it is carried
out: nothing is refunded, cancelled or asked for twice. What moves money or stops an order does so only while the
accounts of the order agree (`agents.shop.facts.account`); a person decides where they do not, and is told why by what
the state says of itself. No plan gives back more than is owed once it is carried out (`compensations`).
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
    REFUND_REPEATED = auto()
    REFUND_OVERPAID = auto()
    CANCEL_ORDER = auto()
    CANCEL_FULFILMENT = auto()
    RETRY_SHIPMENT = auto()
    ASK_FOR_ADDRESS = auto()
    NOTIFY = auto()
    ESCALATE = auto()


#: These end the order by themselves, whatever is done about the money.
_STOPPING: Final = frozenset({Failure.FRAUD_BLOCKED, Failure.ORDER_CANCELLED})


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
        return self.failure in _STOPPING or Step.CANCEL_ORDER in self.steps

    @property
    def why(self) -> str:
        """Why it is this plan, in one line for a person: what its state says of itself."""
        text = (self.when.__doc__ or "").strip().rstrip(".")
        return text[:1].lower() + text[1:]

    @property
    def gives_back(self) -> bool:
        """Whether a later payment of the order that it stops is given back as well."""
        return self.stops and Step.ESCALATE not in self.steps


def always(_: OrderState, __: str) -> bool:
    """No compensation fits by itself."""
    return True


def unknown(order: OrderState, _: str) -> bool:
    """The order itself is not known."""
    return order.account.order is None


def shipped(order: OrderState, _: str) -> bool:
    """A carrier has the goods."""
    return order.is_shipped


def over(order: OrderState, _: str) -> bool:
    """There is nothing left to ship."""
    return order.is_shipped or order.is_off


def disputed(order: OrderState, _: str) -> bool:
    """The accounts of the order disagree."""
    return order.account.is_disputed


def supplied(order: OrderState, culprit_id: str) -> bool:
    """The article was reserved since, or the order became another one."""
    return not order.is_still_short(culprit_id)


def captured(order: OrderState, _: str) -> bool:
    """Money was taken and not given back."""
    return order.account.left_minor > 0


def paid(order: OrderState, _: str) -> bool:
    """Money was taken, and perhaps given back."""
    return bool(order.account.captures)


def paid_again(order: OrderState, culprit_id: str) -> bool:
    """The capture to blame repeats one that is kept, and what is kept is exactly what the order is worth."""
    return bool(order.repeated(culprit_id))


def settled(order: OrderState, _: str) -> bool:
    """One of two captures was given back, and what is left is what the order is worth, or nothing."""
    account = order.account
    back = [capture for capture in account.captures if not account.left(capture)]
    settlement = account.settle()
    pays = settlement is not None and not settlement.extra and settlement.over_minor == 0
    return len(account.captures) > 1 and bool(back) and (pays or account.left_minor == 0)


def unclear_price(order: OrderState, _: str) -> bool:
    """What the price was when the order was paid is not clear."""
    return bool(order.account.price_doubt) or order.account.is_amended_since_paid


def overpaid(order: OrderState, _: str) -> bool:
    """The customer paid more than the price."""
    settlement = order.account.settle()
    return settlement is not None and settlement.over_minor > 0


def paid_right(order: OrderState, _: str) -> bool:
    """The customer paid the price."""
    settlement = order.account.settle()
    return settlement is not None and settlement.over_minor == 0 and not settlement.extra


def stranger(order: OrderState, culprit_id: str) -> bool:
    """The order was not paid with the payment that is blocked."""
    return paid(order, culprit_id) and order.payment_of(culprit_id) is None


def unclear_address(order: OrderState, _: str) -> bool:
    """Clock and log disagree on whether the newest address is valid."""
    return order.address.is_contradicted


def corrected(order: OrderState, _: str) -> bool:
    """The address was put right since."""
    return order.address.is_valid


def tried_since(order: OrderState, _: str) -> bool:
    """The address was put right since, and the shipment was tried again for that."""
    return order.address.is_valid and order.address.is_tried_again


def tried_often(order: OrderState, _: str) -> bool:
    """The shipment was tried again often enough."""
    return order.retries >= MAX_RETRIES


F, S = Failure, Step
OFF: Final = (S.CANCEL_FULFILMENT, S.CANCEL_ORDER)
BACK: Final = (S.CANCEL_FULFILMENT, S.REFUND_EVERYTHING)

# fmt: off
TABLE: Final[Sequence[Plan]] = (
    Plan(F.STOCK_SHORTAGE,    "escalate",          unknown,         (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "escalate",          shipped,         (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "escalate",          disputed,        (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "escalate",          supplied,        (S.ESCALATE,)),
    Plan(F.STOCK_SHORTAGE,    "refund_and_cancel", captured,        (S.REFUND_EVERYTHING, *OFF, S.NOTIFY)),
    Plan(F.STOCK_SHORTAGE,    "cancel",            always,          (*OFF, S.NOTIFY)),
    Plan(F.DUPLICATE_CAPTURE, "escalate",          disputed,        (S.ESCALATE,)),
    Plan(F.DUPLICATE_CAPTURE, "refund_capture",    paid_again,      (S.REFUND_REPEATED, S.NOTIFY)),
    Plan(F.DUPLICATE_CAPTURE, "refunded_before",   settled,         ()),
    Plan(F.DUPLICATE_CAPTURE, "escalate",          always,          (S.ESCALATE,)),
    Plan(F.LABEL_FAILED,      "nothing_to_ship",   over,            ()),
    Plan(F.LABEL_FAILED,      "escalate",          tried_often,     (S.ESCALATE,)),
    Plan(F.LABEL_FAILED,      "retry_shipment",    always,          (S.RETRY_SHIPMENT,)),
    Plan(F.ADDRESS_INVALID,   "nothing_to_ship",   over,            ()),
    Plan(F.ADDRESS_INVALID,   "escalate",          unclear_address, (S.ESCALATE,)),
    Plan(F.ADDRESS_INVALID,   "tried_before",      tried_since,     ()),
    Plan(F.ADDRESS_INVALID,   "retry_shipment",    corrected,       (S.RETRY_SHIPMENT,)),
    Plan(F.ADDRESS_INVALID,   "ask_for_address",   always,          (S.ASK_FOR_ADDRESS,)),
    Plan(F.PRICE_CHANGED,     "escalate",          disputed,        (S.ESCALATE,)),
    Plan(F.PRICE_CHANGED,     "escalate",          unclear_price,   (S.ESCALATE,)),
    Plan(F.PRICE_CHANGED,     "refund_difference", overpaid,        (S.REFUND_OVERPAID, S.NOTIFY)),
    Plan(F.PRICE_CHANGED,     "escalate",          paid_right,      (S.ESCALATE,)),
    Plan(F.PRICE_CHANGED,     "escalate",          always,          (S.ESCALATE,)),
    Plan(F.BAD_DEPLOYMENT,    "escalate",          always,          (S.ESCALATE,)),
    Plan(F.BAD_CONFIGURATION, "escalate",          always,          (S.ESCALATE,)),
    Plan(F.FRAUD_BLOCKED,     "escalate",          stranger,        (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.FRAUD_BLOCKED,     "escalate",          shipped,         (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.FRAUD_BLOCKED,     "escalate",          disputed,        (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.FRAUD_BLOCKED,     "refund_and_stop",   captured,        BACK),
    Plan(F.FRAUD_BLOCKED,     "stop",              paid,            (S.CANCEL_FULFILMENT,)),
    Plan(F.FRAUD_BLOCKED,     "escalate",          always,          (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.ORDER_CANCELLED,   "escalate",          shipped,         (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.ORDER_CANCELLED,   "escalate",          disputed,        (S.CANCEL_FULFILMENT, S.ESCALATE)),
    Plan(F.ORDER_CANCELLED,   "refund_and_stop",   captured,        (*BACK, S.NOTIFY)),
    Plan(F.ORDER_CANCELLED,   "stop",              always,          (S.CANCEL_FULFILMENT, S.NOTIFY)),
    Plan(F.UNKNOWN,           "escalate",          always,          (S.ESCALATE,)),
)
# fmt: on

#: For an order that a change of a service made fail: who answers for the service was told of all of them, once.
LEFT_TO_OPERATORS: Final = Plan(Failure.UNKNOWN, "left_to_operators", always, ())
#: For what is taken after an order was stopped.
LATE_PAYMENT: Final = Plan(Failure.UNKNOWN, "refund_late_payment", always, (Step.REFUND_EVERYTHING,))
#: For an address that was put right while the order waited for that.
TRY_AGAIN: Final = Plan(Failure.ADDRESS_INVALID, "retry_shipment", corrected, (Step.RETRY_SHIPMENT,))
#: For a failure nobody here knows, and for a guess.
ESCALATE: Final = Plan(Failure.UNKNOWN, "escalate", always, (Step.ESCALATE,))


def plan_for(failure: str, culprit_id: str, order: OrderState) -> Plan:
    """The plan for a failure: the first row that fits; a failure nobody here knows is escalated."""
    return next((plan for plan in TABLE if plan.failure == failure and plan.when(order, culprit_id)), ESCALATE)
