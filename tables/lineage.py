"""Lineage: which topics the windows of a local database were filled from.

Names do not tell: another cluster has the same ones, and so has a topic that was deleted and created again. Offsets of
one topic mean nothing in the other, so windows that came from elsewhere must never be mixed with what comes from here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import orjson


@dataclass(frozen=True, slots=True)
class Lineage:
    """The ids Kafka gave to a cluster and two of its topics; empty where a broker gives none."""

    cluster: str
    changelog: str
    timeline: str


#: What is said when a database is not used, by what is different.
_OTHER_CLUSTER: Final = "they belong to another Kafka cluster"
_OTHER_CHANGELOG: Final = "their changelog was deleted and created again"
#: The changelog would bring windows back that are as wrong.
OTHER_TIMELINE: Final = "their timeline was deleted and created again"
_UNKNOWN: Final = "they do not say which cluster and topics they come from"


def encode(lineage: Lineage) -> bytes:
    """Return the bytes that stand in the database."""
    return orjson.dumps(asdict(lineage))


def decode(value: bytes) -> Lineage | None:
    """Return what `encode` has written; None for anything else."""
    try:
        return Lineage(**orjson.loads(value))
    except (orjson.JSONDecodeError, TypeError):
        return None


def why_not(stored: bytes | None, here: Lineage) -> str | None:
    """Why windows with this lineage must not be used here, or None when they may."""
    there = None if stored is None else decode(stored)
    if there is None:
        return _UNKNOWN
    if there.cluster != here.cluster:
        return _OTHER_CLUSTER
    if there.changelog != here.changelog:
        return _OTHER_CHANGELOG
    if there.timeline != here.timeline:
        return OTHER_TIMELINE
    return None
