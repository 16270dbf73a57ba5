"""What is named on a command line or in a setting as `module:name`: domains, and agents, in somebody's own code."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from mode.utils.imports import cwd_in_path

from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.domain import Domain, DomainInvalid
from outbox.parameters import DEAD_LETTERS

T = TypeVar("T")


def agent_object(place: str, catalogue: Catalogue) -> Agent:
    """The agent at `module:name`, imported from the current folder or what is installed.

    Raises ValueError, in one line, when there is none, or when no agent of the loaded domains has its name.
    """
    found = _object(place, Agent)
    if found.name not in catalogue.agents:
        raise ValueError(f"{place} is named {found.name}, and no agent is; there are {', '.join(catalogue.agents)}")
    return found


def catalogue_of(places: Sequence[str], trusted: Sequence[str] = ()) -> Catalogue:
    """The domains at these places, and those they use, imported from the current folder or what is installed.

    `trusted` are sources, besides our agents, whose verdicts count. The same for the same arguments. Raises ValueError,
    in one line, when a place holds no domain, or when they do not fit together.
    """
    return _catalogue(tuple(places), tuple(trusted))


@lru_cache
def _catalogue(places: tuple[str, ...], trusted: tuple[str, ...]) -> Catalogue:
    if not places:
        raise ValueError("expected at least one domain")
    try:
        domains = [_object(place, Domain) for place in dict.fromkeys(places)]
        return Catalogue(domains, reserved=[DEAD_LETTERS], trusted=trusted)
    except DomainInvalid as error:
        raise ValueError(str(error)) from error


def _object(place: str, kind: type[T]) -> T:
    what = f"module:name, {'an' if kind is Agent else 'a'} {kind.__name__} in a module that can be imported"
    module, _, name = place.partition(":")
    if not module or not name:
        raise ValueError(f"expected {what}")
    try:
        with cwd_in_path():
            found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{place} cannot be imported: {type(error).__name__}: {why}") from error
    if not isinstance(found, kind):
        article = "an" if kind is Agent else "a"
        raise ValueError(f"{place} is a {type(found).__name__}, expected {article} {kind.__name__}")  # noqa: TRY004 - a wrong setting
    return found
