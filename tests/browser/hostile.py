"""Events whose every field says what a page must not do: an HTML element in each text, id and source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from shop_catalogue import TYPES

from app.simulator import Produced, simulated_until_now
from tables.event import InvalidEvent, parse, to_json

#: What stands in every field: ends an attribute, a script, a comment and a text area, runs a script in four ways, and
#: turns the direction of what follows (U+202E).
HOSTILE: Final = (
    '"\'><img src=x onerror="window.hacked=1"><script>window.hacked=1</script><svg onload=window.hacked=1>'
    "--></script></textarea>{{7*7}}&lt;b&gt;\u202e"
)
#: Set by any of the scripts that ran.
MARK: Final = "window.hacked"


def hostile_story() -> Sequence[Produced]:
    """One event of every type that producers send, each of its texts replaced wherever the event stays valid."""
    found: dict[str, Produced] = {}
    for record in simulated_until_now(seed=1, orders=60, failures=12, unusual=12).records:
        try:
            event = parse(record.value, record.headers)
        except InvalidEvent:
            continue
        if event.type not in found and TYPES.parse(event) is not None:
            envelope = json.loads(to_json(event))
            for name in ("id", "source", "correlationid", "causationid", "subject"):
                envelope[name] = f"{event.type}{HOSTILE}" if name == "id" else HOSTILE
            value = json.dumps(_with_hostile_data(envelope)).encode()
            found[event.type] = replace(record, key=b"hostile", value=value, headers=())
    return list(found.values())


def _with_hostile_data(envelope: dict[str, Any]) -> dict[str, Any]:
    for path in list(_texts(envelope["data"])):
        tried = json.loads(json.dumps(envelope))
        *above, last = path
        place = tried["data"]
        for step in above:
            place = place[step]
        place[last] = HOSTILE
        if _is_valid(tried):
            envelope = tried
    return envelope


def _texts(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where texts stand in JSON."""
    if isinstance(data, str):
        yield path
    elif isinstance(data, dict | list):
        for step, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _texts(value, (*path, step))


def _is_valid(envelope: dict[str, Any]) -> bool:
    try:
        return TYPES.parse(parse(json.dumps(envelope).encode(), ())) is not None
    except InvalidEvent:
        return False
