"""Contenders: ways to decide on payments, each as its own documentation would write it, beside ours.

All judge by the same rule, over the last 50 payments of the customer, and write a decision and a message for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from app.sandbox.process import Service
from benchmarks.arena import Arena
from benchmarks.processes import Script, Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variant that can be started."""

    #: Makes its process, which keeps its data in a directory.
    made: Callable[[Arena, Path], Service]
    #: Topics it needs besides the payments.
    topics: Sequence[str] = ()


def ours(*, checkout: Path = Path(), settings: Mapping[str, str] = MappingProxyType({})) -> Choice:
    """A real worker with the fraud agent, of any checkout."""
    chosen = {"AGENTS": "fraud", **settings}
    return Choice(made=lambda arena, directory: Worker(arena, directory, chosen, checkout=checkout))


def hand_written(**_: Any) -> Choice:
    """A loop over the client libraries."""
    topics = ("hand-timeline-customer", "hand-timeline-order", "hand-changelog")
    return Choice(made=_script("benchmarks.variants.hand_written"), topics=topics)


def plain_faust(**_: Any) -> Choice:
    """Faust as it comes."""
    return Choice(
        made=_script("faust", "-A", "benchmarks.variants.plain_faust", "worker", "-l", "info"), topics=("fraud-scores",)
    )


def quix(**_: Any) -> Choice:
    """Quix Streams as it comes."""
    return Choice(made=_script("benchmarks.variants.quix"), topics=("fraud-scores",))


def quix_same_guarantee(**_: Any) -> Choice:
    """Quix Streams with an outbox."""
    return Choice(made=_script("benchmarks.variants.quix_same_guarantee"), topics=("fraud-scores",))


def _script(*arguments: str) -> Callable[[Arena, Path], Service]:
    return lambda arena, directory: Script(arena, directory, arguments)


#: By name; each takes where our own code is, and settings of ours.
VARIANTS: Final[Mapping[str, Callable[..., Choice]]] = MappingProxyType(
    {
        "ours": ours,
        "hand_written": hand_written,
        "plain_faust": plain_faust,
        "quix": quix,
        "quix_same_guarantee": quix_same_guarantee,
    }
)
