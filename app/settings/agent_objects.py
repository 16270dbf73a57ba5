"""Agents that are named on a command line or in a setting: `module:name`, an `Agent` in somebody's own code."""

from __future__ import annotations

import importlib

from mode.utils.imports import cwd_in_path

from agents.model.agent import Agent
from agents.registry import AGENTS


def agent_object(place: str) -> Agent:
    """The agent at `module:name`, imported from the current folder or what is installed.

    Raises ValueError, in one line, when there is none, or when no agent that runs live has its name.
    """
    module, _, name = place.partition(":")
    if not module or not name:
        raise ValueError("expected module:name, an Agent in a module that can be imported")
    try:
        with cwd_in_path():
            found = getattr(importlib.import_module(module), name)
    except Exception as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{place} cannot be imported: {type(error).__name__}: {why}") from error
    if not isinstance(found, Agent):
        raise ValueError(f"{place} is a {type(found).__name__}, expected an Agent")  # noqa: TRY004 - a wrong setting
    if found.name not in AGENTS:
        raise ValueError(f"{place} is named {found.name}, and no agent is; there are {', '.join(AGENTS)}")
    return found
