"""Shadows: how often they decide as the live agents do, and where they do not."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from faust.web import Request, Response, View

from app.views.pages import before_of, cut, limit_of, page
from outbox.database import queries
from outbox.shadows import agreements, disagreements

if TYPE_CHECKING:
    from app.worker.application import Innervate

_SQL: Final = queries("views.sql")


def register_shadow_views(app: Innervate) -> None:
    """Add `/shadows`."""

    @page(app, "/shadows", name="shadows", query=("label", "limit", "before"))
    async def shadows(self: View, request: Request) -> Response:
        """Every shadow with its newest disagreements, and where they go on; `?label= limit= before=ID`."""
        limit, database = limit_of(request), app.runtime.database
        before = await before_of(request, database, _SQL["known_decision"])
        found = []
        for agreement in await agreements(database, request.query.get("label")):
            differing = await disagreements(database, agreement.shadow, limit=limit + 1, before=before)
            shown, following = cut(differing, limit, lambda one: one.shadow.decision_id)
            told = {"disagreements": list(map(dataclasses.asdict, shown)), "next": following}
            found.append({**dataclasses.asdict(agreement), "rate": agreement.rate, **told})
        # There are few shadows, and all are shown.
        return self.json({"shadows": found, "next": None})
