"""The outbox and the dead letters."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from faust.web import Request, Response, View

from app.views.pages import as_objects, before_of, cut, limit_of, page
from outbox.database import queries

if TYPE_CHECKING:
    from app.worker.application import Innervate

_SQL: Final = queries("views.sql")

#: Messages are counted up to so many.
COUNTED: Final = 10_000

_DEAD_LETTER: Final = (
    "id", "consumer", "reason", "detail", "topic", "partition", "offset", "recorded_at", "died_at", "value_bytes",
    "replayed_at", "replayed_by", "truncated",
)  # fmt: skip


def register_outbox_views(app: Innervate) -> None:
    """Add `/outbox` and `/dead-letters`."""

    @page(app, "/outbox", name="outbox")
    async def outbox(self: View, _request: Request) -> Response:
        """How much waits to be published (counted up to 10,000), for how long, and which lanes this worker holds."""
        [(pending, dead)] = await app.runtime.database.run(_SQL["outbox"], {"at_most": COUNTED})
        lanes = (await app.runtime.watch.look()).lanes
        return self.json(
            {
                "pending": min(pending, COUNTED),
                **({"more_is_pending": True} if pending > COUNTED else {}),
                "oldest_seconds": max((lane.age_seconds for lane in lanes), default=0.0),
                "dead": min(dead, COUNTED),
                "lanes": list(app.runtime.relay.lanes),
            }
        )

    @page(app, "/dead-letters", name="dead_letters", query=("reason", "consumer", "limit", "before"))
    async def dead_letters(self: View, request: Request) -> Response:
        """The newest dead letters; `?reason= consumer= limit= before=ID`."""
        database, limit = app.runtime.database, limit_of(request)
        parameters: dict[str, Any] = {name: request.query.get(name) for name in ("reason", "consumer")}
        before = await before_of(request, database, _SQL["known_dead_letter"], "dead letter")
        rows = await database.run(_SQL["dead_letters"], {**parameters, "before": before, "limit": limit + 1})
        found, following = cut(as_objects(_DEAD_LETTER, rows), limit, itemgetter("id"))
        return self.json({"dead_letters": found, "next": following})
