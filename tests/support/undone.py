"""What agents said, in a form that can be compared between runs: the order, the ids and what passes are left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

Event = Mapping[str, Any]

#: Depends on how much had happened, or had been heard of, by then.
_PASSING = {"confidence", "alternatives", "evidence", "missing", "ruled_out", "reason", "payment_id"}


def said(events: Iterable[Event]) -> Counter[tuple[str, str]]:
    """Everything that was published; verdicts that a later one replaced, and what followed from them, are left out."""
    told = list(events)
    verdicts = [event for event in told if event["type"] == "RootCauseIdentified"]
    last = {event["data"]["error_event_id"]: event["id"] for event in verdicts}
    superseded = {event["id"] for event in verdicts} - set(last.values())
    return Counter(
        (event["type"], _lasting(event["data"]))
        for event in told
        if not {event["id"], event["causationid"]} & superseded
    )


def undone(events: Iterable[Event]) -> Counter[tuple[str, str]]:
    """The same without the confirmations: their tone follows what a customer has been told by then."""
    return Counter({key: count for key, count in said(events).items() if key[0] != "ConfirmationRequested"})


def _lasting(data: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in data.items() if name not in _PASSING}, sort_keys=True)
