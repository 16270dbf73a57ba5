"""What is on the screen while the demo runs: numbers, or every line when all is asked for."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime

import pytest
from rich.console import Console

from app.demo.screen import Screen, said
from tables.event import Event


def told(kind: str, source: str = "urn:innervate:agent:fraud") -> Event:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    data = {"order_id": "o-17", "verdict": "approve", "score": 0, "reasons": []}
    return Event(id=kind, source=source, type=kind, time=noon, data=data)


def shown(*, verbose: bool, is_terminal: bool = False, total: int = 8) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=200, force_terminal=is_terminal, color_system=None)
    with Screen(console, total=total, verbose=verbose) as screen:
        for _ in range(total):
            screen.sent()
        screen.decided(3, due=5)
        for event in (told("FraudScored"), told("OrderPlaced", "urn:shop:orders"), told("LedgerEntryPosted")):
            screen.heard(event)
    assert screen.said == {"FraudScored": 1, "LedgerEntryPosted": 1}
    return stream.getvalue()


@pytest.mark.parametrize(("total", "sent"), [(8, [2, 4, 6, 8]), (10, [3, 6, 9, 10]), (1, [1])])
def test_where_nothing_can_count_up_a_line_says_how_far_it_is(total: int, sent: list[int]) -> None:
    lines = shown(verbose=False, total=total).splitlines()
    assert lines == [f"sent {each} of {total} records, 0 decisions so far" for each in sent]


def test_everything_the_agents_say_is_shown_on_request_but_what_goes_without_saying() -> None:
    lines = [line for line in shown(verbose=True).splitlines() if not line.startswith("sent ")]
    assert [line.split()[:3] for line in lines] == [["o-17", "fraud", "FraudScored"]]


def test_a_terminal_counts_up_and_keeps_nothing_of_it() -> None:
    seen = shown(verbose=False, is_terminal=True)
    assert "1 FraudScored, 1 LedgerEntryPosted" in seen
    assert "records" not in seen
    # The last that is written erases what counted up: no line is left below it.
    assert seen.endswith("\x1b[1A\x1b[2K")


def test_what_was_said_most_often_comes_first_and_cannot_forge_a_line() -> None:
    assert said(Counter({"Rare\n": 1, "Frequent": 20})).plain == "20 Frequent, 1 Rare\\n"
