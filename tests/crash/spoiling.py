"""Spoiling: what a test breaks on purpose after a clean run, so that the audit has something to find."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Ids of effects that are written past all constraints.
STRANGER: Final = str(uuid.UUID(int=1))
UNTOLD: Final = str(uuid.UUID(int=2))

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, kw_only=True)
class SpoiltEffects:
    """What was done to the rows of a trade's effects, and what has to be found of it."""

    #: The decision that was deleted although there is an effect of it, by its id.
    unfounded: str
    #: An event to be sent that tells of an effect there is no row of.
    invented_event_id: str
    invented: bytes
    #: What the audit must find, by the name of the finding.
    findings: Mapping[str, Sequence[str]]


def event_of(event_id: str, source: str, kind: str, data: Mapping[str, Any]) -> bytes:
    """An event as structured JSON."""
    event = {"specversion": "1.0", "id": event_id, "source": source, "type": kind, "time": "2025-03-01T09:00:00Z"}
    return json.dumps({**event, "data": dict(data)}).encode()
