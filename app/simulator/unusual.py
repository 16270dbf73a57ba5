"""Unusual orders: every kind, by its name; each is told by the function of that name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from app.simulator import cause_tales as causes
from app.simulator import honest_tales as honest
from app.simulator import money_tales as money
from app.simulator import order_tales as orders
from app.simulator.jumble import jumble
from app.simulator.story import OrderStory

#: Tells one order; the service named may fail for no reason.
Tale = Callable[[OrderStory, str], None]

_TALES: Final[Sequence[Tale]] = (
    money.split_tender,
    orders.fewer_pieces,
    causes.late_cause,
    money.card_check,
    orders.without_the_missing_article,
    causes.cascade,
    money.third_capture,
    orders.called_off,
    causes.clock_ahead,
    money.other_currency,
    orders.two_articles_short,
    causes.storm_of_the_unknown,
    money.charged_back_before,
    orders.forged_cause,
    money.support_was_first,
    orders.found_in_parts,
    money.split_tender_twice,
    orders.corrected_when_asked,
    money.charged_back_after,
    orders.more_pieces,
    money.paid_a_little,
    causes.late_second_capture,
    money.reported_again,
    orders.paid_when_stopped,
    money.charged_the_lower_price,
    orders.forged_block,
    money.charged_back_in_part,
    causes.clock_behind,
    money.support_gave_a_part,
    orders.did_without_when_paid,
    money.split_tender_in_three,
    orders.called_off_on_its_way,
    money.charged_back_and_short,
    causes.storm_of_one,
    money.overpaid_twice,
    orders.versions_overtake,
    money.support_refunded_the_short,
    orders.shared_payment,
    money.shipping_costs,
    orders.fewer_pieces_before,
    money.reported_differently,
    honest.abroad,
    honest.new_phone,
    honest.declined_before,
    honest.big_basket,
    honest.two_in_a_row,
)
#: Every kind once, and after every four of them one jumble.
TALES: Final[Sequence[Tale]] = tuple(
    tale for number, each in enumerate(_TALES) for tale in ((each, jumble) if number % 4 == 3 else (each,))
)
