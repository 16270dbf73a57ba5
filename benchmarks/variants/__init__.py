"""Variants: ways to decide on payments, each as its own documentation would write it, beside ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from app.sandbox.process import Service
from benchmarks.arena import Arena
from benchmarks.processes import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variant that can be started."""

    #: Makes its process, which keeps its data in a directory.
    made: Callable[[Arena, Path], Service]
    #: Topics it needs besides the payments.
    topics: Sequence[str] = ()


def ours(*, checkout: Path, settings: Mapping[str, str]) -> Choice:
    """A real worker with the fraud agent, of any checkout."""
    chosen = {"AGENTS": "fraud", **settings}
    return Choice(made=lambda arena, directory: Worker(arena, directory, chosen, checkout=checkout))


#: By name; each takes where our own code is, and settings of ours.
VARIANTS: Final[Mapping[str, Callable[..., Choice]]] = MappingProxyType({"ours": ours})
