"""Judging: the settings that an agent's judgement depends on, as they hold for it. Nothing secret.

What only says where something is, how much a machine takes at a time, or who may look, is none of them. A setting is
here, or a test names it among those that change no judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agents.model.agent import Agent
from app.settings import Settings
from tables.window import WindowSpec


def judging(settings: Settings, agent: Agent) -> Mapping[str, Any]:
    """By groups, as JSON: what the agent listens to and keeps, who decides, when a person is asked, what is bounded."""
    return {
        "domains": list(settings.domains),
        "trusted_sources": sorted(settings.trusted_sources),
        # Its windows are those of its set: in another set it begins with empty ones.
        "set": settings.agent_set,
        "entity": agent.entity.name,
        "reacts_to": sorted(agent.reacts_to),
        "remembers": sorted(agent.remembers),
        "window": {**_window(window_of(settings, agent)), "late_days": settings.window_late_days},
        "brain": _brain(settings, agent),
        "hold": _hold(settings, agent),
        "limits": {
            "chain_max_depth": settings.chain_max_depth,
            "chain_max_messages": settings.chain_max_messages,
            "effects_wait_seconds": settings.effects_wait_seconds,
            "max_event_bytes": settings.max_event_bytes,
        },
    }


def window_of(settings: Settings, agent: Agent) -> WindowSpec:
    """The window of an agent, as large as an operator wants it."""
    if settings.window_events is None:
        return agent.window
    return replace(agent.window, events=settings.window_events)


def _window(spec: WindowSpec) -> Mapping[str, Any]:
    return {
        "events": spec.events,
        "age_seconds": spec.age.total_seconds(),
        "slots": [{"types": sorted(ring.types), "events": ring.events} for ring in spec.rings],
    }


def _brain(settings: Settings, agent: Agent) -> Mapping[str, Any]:
    kind = settings.brain_of(agent.name)
    if kind == "rules" or agent.choosing is None:
        return {"kind": "rules"}
    return {
        "kind": kind,
        "model": settings.model_of(agent.name),
        "url": settings.llm_url,
        "redact": sorted(settings.llm_redact),
        "reply_tokens": settings.llm_reply_tokens,
        # The rules decide when these are used up.
        "daily_tokens": settings.daily_tokens()[agent.name],
        "timeout_seconds": settings.llm_timeout_seconds,
        "deadline_seconds": settings.llm_deadline_seconds,
        "concurrency": settings.llm_concurrency,
        "queue": settings.llm_queue,
    }


def _hold(settings: Settings, agent: Agent) -> Mapping[str, Any]:
    policy = settings.hold_policy_of(agent.name)
    return {
        "moves_over_minor": policy.moves_over_minor,
        "confidence_under": policy.confidence_under,
        "outcomes": sorted(policy.outcomes),
        "hours": settings.hold_hours,
    }
