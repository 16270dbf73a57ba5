"""Decisions: a list with every filter the API has, groups of them with counts, and one with all that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from app.page.view import Shown, View, Visit, uuid_of
from app.reads.codes import MOST_CODES, CodesQuery, code, codes
from app.reads.decisions import DecisionGroup, DecisionsQuery, GroupsQuery, decision, decision_groups, decisions
from app.reads.llm_calls import LlmCallsQuery, llm_call, llm_calls
from app.reads.shapes import NotFound
from outbox.records import Status

#: Where this is in the navigation.
_SECTION: Final = "/ui/decisions"
#: What a line of the list can be compared with while it is live, without asking again.
_COMPARED: Final = frozenset({"agent", "entity", "entity_id", "event_type", "outcome", "status", "brain"})
#: Calls to models that are shown with a decision, texts and all.
_CALLS: Final = 5


async def show_list(visit: Visit) -> Shown:
    """The newest decisions that the filters let pass."""
    query: DecisionsQuery = visit.query
    page = await decisions(visit.parts.database, query)
    filters = query.model_dump(exclude_none=True, exclude={"limit", "before"}, exclude_defaults=True)
    catalogue = visit.parts.settings.catalogue
    return Shown(
        template="decisions.html",
        context={
            "query": query,
            "filters": filters,
            "page": page,
            "agents": sorted(catalogue.agents),
            "entities": list(catalogue.entities),
            "statuses": get_args(Status),
            "tail": tail(filters) if query.before is None else None,
        },
    )


def tail(filters: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The filters that a browser can apply by itself to what is new; None when it cannot to all of them."""
    return {name: str(value) for name, value in filters.items()} if filters.keys() <= _COMPARED else None


async def show_groups(visit: Visit) -> Shown:
    """How often each agent decided what, what failed first."""
    found = await decision_groups(visit.parts.database, visit.query)
    failed = [group for group in found.groups if has_failed(group)]
    others = [group for group in found.groups if not has_failed(group)]
    context = {"groups": found, "failed": failed, "others": others, "query": visit.query}
    return Shown(template="decision_groups.html", context=context)


def has_failed(group: DecisionGroup) -> bool:
    """Whether decisions did not go the way they were to: held, rejected, refused, or rules for want of a model."""
    return group.fell_back or group.status in {"held", "rejected", "refused"}


async def show_one(visit: Visit) -> Shown:
    """One decision: what, why, by whom, what follows from it."""
    decision_id = uuid_of(visit.place["decision_id"])
    parts = visit.parts
    found = await decision(parts.database, parts.runtime.approvals, decision_id)
    calls = await llm_calls(parts.database, LlmCallsQuery(decision_id=decision_id, limit=_CALLS))
    asked = [await llm_call(parts.database, call.id) for call in reversed(calls.llm_calls)]
    return Shown(
        template="decision.html",
        context={"decision": found, "calls": asked},
        title=f"{found.agent}: {found.outcome}",
    )


async def show_codes(visit: Visit) -> Shown:
    """By which code the agents decided."""
    query: CodesQuery = visit.query
    page = await codes(visit.parts.database, query)
    agents = sorted(visit.parts.settings.catalogue.agents)
    return Shown(template="codes.html", context={"page": page, "query": query, "agents": agents})


async def show_code(visit: Visit) -> Shown:
    """What one code is made of. Raises `NotFound`."""
    code_id = visit.place["code_id"]
    if not (code_id.isascii() and code_id.isdecimal() and len(code_id) < len(str(MOST_CODES))):
        raise NotFound(f"no code version {code_id[:40]}")
    found = await code(visit.parts.database, int(code_id))
    return Shown(template="code.html", context={"code": found}, title=f"Code {found.id} of {found.agent}")


VIEWS: Final = (
    View(path=_SECTION, title="Decisions", answer=show_list, query=DecisionsQuery, in_navigation=True),
    View(
        path=f"{_SECTION}/groups", title="Groups of decisions", answer=show_groups, query=GroupsQuery, section=_SECTION
    ),
    View(path=f"{_SECTION}/code", title="By which code", answer=show_codes, query=CodesQuery, section=_SECTION),
    View(path=f"{_SECTION}/code/{{code_id}}", title="Code", answer=show_code, section=_SECTION),
    View(path=f"{_SECTION}/{{decision_id}}", title="Decision", answer=show_one, section=_SECTION),
)
