"""Shadows: how often they decide as the live agents do, and where they do not."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from faust.web import Request, Response, View

from app.views.pages import limit_of, page
from outbox.shadows import agreements, disagreements

if TYPE_CHECKING:
    from app.worker import Innervate


def register_shadow_views(app: Innervate) -> None:
    """Add `/shadows`."""

    @page(app, "/shadows", name="shadows", query=("label", "limit", "before"))
    async def shadows(self: View, request: Request) -> Response:
        """Every shadow with its newest disagreements; `?label= limit=`."""
        limit, database = limit_of(request), app.runtime.database
        found = [
            {
                **dataclasses.asdict(agreement),
                "rate": agreement.rate,
                "disagreements": [
                    dataclasses.asdict(one) for one in await disagreements(database, agreement.shadow, limit=limit)
                ],
            }
            for agreement in await agreements(database, request.query.get("label"))
        ]
        return self.json({"shadows": found})
