"""Models: what language models are asked, what it takes, how often it fails, and one call with its texts."""

from __future__ import annotations

from typing import Final

from app.page.view import Shown, View, Visit, filters_of, uuid_of
from app.reads.llm_calls import LlmCallsQuery, llm_call, llm_calls, models

_SECTION: Final = "/ui/models"
#: Share of the day's tokens beyond which it is said that they run out.
_SCARCE: Final = 0.8


async def show_list(visit: Visit) -> Shown:
    """Use, budgets and the newest calls that the filters let pass."""
    query: LlmCallsQuery = visit.query
    database = visit.parts.database
    found = await models(database, visit.parts.settings.daily_tokens())
    page = await llm_calls(database, query)
    return Shown(
        template="models.html",
        context={
            "models": found,
            "page": page,
            "query": query,
            "filters": filters_of(query),
            "agents": sorted({*visit.parts.settings.catalogue.agents, *(use.agent for use in found.uses)}),
            "scarce": _SCARCE,
        },
    )


async def show_call(visit: Visit) -> Shown:
    """One call with what was sent and what came back."""
    call = await llm_call(visit.parts.database, uuid_of(visit.place["call_id"], "call"))
    return Shown(template="model_call.html", context={"call": call}, title=f"Call of {call.model}")


VIEWS: Final = (
    View(path=_SECTION, title="Models", answer=show_list, query=LlmCallsQuery, in_navigation=True),
    View(path=f"{_SECTION}/calls/{{call_id}}", title="Call", answer=show_call, section=_SECTION),
)
