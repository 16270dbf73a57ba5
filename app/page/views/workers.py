"""Workers: every one of every set, what it has and how it moves, and in a sentence whether anything is stuck."""

from __future__ import annotations

from typing import Final, get_args

from app.page.view import Shown, View, Visit, filters_of
from app.reads.workers import Liveness, WorkersQuery, workers
from app.worker.status import ranges


async def show(visit: Visit) -> Shown:
    """All workers by their last word."""
    query: WorkersQuery = visit.query
    page = await workers(visit.parts.database, query)
    return Shown(
        template="workers.html",
        context={
            "page": page,
            "query": query,
            "filters": filters_of(query),
            "statuses": get_args(Liveness),
            "ranges": ranges,
        },
    )


VIEW: Final = View(path="/ui/workers", title="Workers", answer=show, query=WorkersQuery, in_navigation=True)
