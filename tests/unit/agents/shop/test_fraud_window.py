"""What fraud still remembers of a customer through the windows of a worker, whatever else came in between."""

from __future__ import annotations

from collections.abc import Sequence

from choreography import Choreography
from fraud_cases import ABROAD, DAY, KNOWN, bought, disputed, now, refusals
from shop_catalogue import AGENTS

from app.testing.choreography import Sending
from tables.event import Event, to_json


def judged(payment: Event, earlier: Sequence[Event]) -> str:
    """The reason of the decision on the payment, when all of it came through the log."""
    played = Choreography(agents=[AGENTS["fraud"]]).run(Sending(to_json(event)) for event in (*earlier, payment))
    return played.decisions["fraud", payment.key].reason


def test_declines_do_not_push_out_the_payments_they_are_compared_with() -> None:
    assert judged(now(90_000, **ABROAD), [*KNOWN, *refusals(400, 2, **ABROAD)]) == (
        "score 100: amount: 30 times the customer's median (30.00 EUR); "
        "novelty: first payment from BR and from this device; declines: 50 cards declined within an hour"
    )


def test_payments_do_not_push_out_the_chargebacks_and_declines_before_them() -> None:
    many = [bought(f"many-{n}", 1.5 - n / 100) for n in range(120)]

    assert judged(now(), [disputed("one", 20 * DAY), *refusals(4, 0.5), *many]) == (
        "score 69 (of 85: strong signs of 2 independent families are missing): "
        "velocity: 17 other orders paid within 10 minutes; declines: 4 cards declined within an hour; "
        "disputes: 1 order charged back of 52 payments"
    )
