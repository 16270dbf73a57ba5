"""The rooms that know no domain hold no word of one: neither in code nor in what is said about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.sandbox.worker_process import CHECKOUT

#: Where nothing of the shop may be named.
ROOMS = ("agents/engine", "agents/model", "agents/platform", "outbox", "tables", "app/worker", "app/reads", "app/web")

#: The shop's words, as parts of names as well: `customer` is found in `customer_id`, `payment` in `PaymentSucceeded`.
#: "order" and "capture" alone are English ("in the order of the log"); the shop's are `order_id` and `captures`.
WORDS = (
    "address_?changed|captured?_(minor|id)|captures|carrier|cart_|chargeback|confirmation|customer|fraud|fulfil|inventory|"
    "invoice|ledger|merchant|order_(id|state)|order_?(placed|cancelled)|parcel|payment|price_?changed|refund|review_?posted|"
    "shipment|shipping|shop|sku|stripe"
)
FOUND = re.compile(WORDS, re.IGNORECASE)


def named_in(text: str) -> list[str]:
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if FOUND.search(line)]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_without_a_domain_names_nothing_of_the_shop(room: str) -> None:
    files = [file for file in sorted((CHECKOUT / room).rglob("*")) if file.suffix in {".py", ".sql", ".json", ".md"}]

    assert files
    assert {str(file): lines for file in files if (lines := named_in(read(file)))} == {}


def read(file: Path) -> str:
    return f"{file.name}\n{file.read_text(encoding='utf-8')}"


def test_the_words_are_found_within_names_and_english_is_not() -> None:
    assert named_in("customer_id\nPaymentSucceeded\nclass RefundIssued\nthe Shop") == [
        "1: customer_id",
        "2: PaymentSucceeded",
        "3: class RefundIssued",
        "4: the Shop",
    ]
    assert named_in("in the order of the log\ntaken in turn, captured whole\nORDER BY seq") == []
