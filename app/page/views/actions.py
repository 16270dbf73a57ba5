"""What people did: who answered or put back what, when and why."""

from __future__ import annotations

from typing import Final

from app.page.view import Shown, View, Visit, filters_of
from app.reads.operator_actions import OperatorAction, OperatorActionsQuery, operator_actions

#: Where the target of an action is shown.
_PLACES: Final = {
    "approve": "/ui/approvals/{}",
    "reject": "/ui/approvals/{}",
    "redrive_dead_letter": "/ui/dead-letters/{}",
    "redrive_buried_message": "/ui/decisions?message_id={}",
}


async def show(visit: Visit) -> Shown:
    """The newest actions that the filters let pass."""
    query: OperatorActionsQuery = visit.query
    page = await operator_actions(visit.parts.database, query)
    places = {one.id: _place(one) for one in page.operator_actions}
    return Shown(
        template="actions.html",
        context={"page": page, "query": query, "filters": filters_of(query), "kinds": tuple(_PLACES), "places": places},
    )


def _place(action: OperatorAction) -> str:
    return _PLACES[action.action].format(action.target)


VIEWS: Final = (View(path="/ui/actions", title="Actions", answer=show, query=OperatorActionsQuery, in_navigation=True),)
