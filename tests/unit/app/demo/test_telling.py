"""What the demo tells of events: one line each, whatever stands in them."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from app.demo.telling import choreography, line
from tables.event import Event

HOSTILE = "o-17\n\x1b[31m\u202e\u3164"
SHOWN = r"o-17\n\u001b[31m\u202e\u3164"


def told(kind: str = "OrderCancelled") -> Event:
    return Event(
        id="e-1",
        source=f"urn:shop:{HOSTILE}",
        type=kind,
        time=datetime(2024, 5, 1, 12, tzinfo=UTC),
        data={"order_id": HOSTILE, "reason": HOSTILE},
    )


def test_an_event_is_one_line_without_escapes_whatever_stands_in_it() -> None:
    assert line(told()).plain == f"{SHOWN}{SHOWN}{'OrderCancelled':24}{SHOWN}"


def test_a_type_cannot_hide_anything_either() -> None:
    assert line(told(HOSTILE)).plain == f"{SHOWN}{SHOWN}{SHOWN}"


def test_a_story_has_one_line_for_each_event() -> None:
    stream = io.StringIO()
    Console(file=stream, width=200).print(choreography([told()]))
    assert SHOWN in stream.getvalue()
    assert (stream.getvalue().count("\n"), "\x1b" in stream.getvalue()) == (1, False)
