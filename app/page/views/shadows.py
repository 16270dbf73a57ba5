"""Shadows: how often they decide as the live agents do, and where they do not, side by side; and how to replay."""

from __future__ import annotations

from typing import Final

from app.page.view import Shown, View, Visit
from app.reads.shadows import ShadowsQuery, shadows


async def show(visit: Visit) -> Shown:
    """Every shadow with a page of its disagreements."""
    query: ShadowsQuery = visit.query
    found = await shadows(visit.parts.database, query)
    return Shown(template="shadows.html", context={"shadows": found.shadows, "query": query})


VIEW: Final = View(path="/ui/shadows", title="Shadows", answer=show, query=ShadowsQuery, in_navigation=True)
