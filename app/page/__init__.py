"""The page: what a worker and its database know, for people, at `/ui/`.

Rendered here and readable without a script. Everything shown comes from `app.reads` and `app.story`, as the JSON views'
answers do; all of it is text that strangers may have written, and is escaped where it is rendered (`rendering`). What a
browser may do with it is said in each response (`security`). A view is a module in `views` and a template.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from app.page.live import Broadcaster, Message, stream
from app.page.parts import Parts
from app.page.registration import add, register, web_application
from app.page.root import lead
from app.page.views import VIEWS
from app.page.views.listings import listing_views
from app.page.views.outbox import SERIES, answer_series, sample
from app.reads.now import now
from app.story import sources_of
from app.web.callers import Role
from app.web.negotiation import PAGE
from app.worker.application import Innervate

#: Where the stream of what is new is.
LIVE: Final = "/ui/live"


def register_page(app: Innervate) -> None:
    """Add the page to Faust's web server."""
    parts = Parts(app=app, stories=sources_of(app.settings, app.runtime.database))
    add(app, "/", lead, role=Role.NOTHING)
    add(app, PAGE.rstrip("/"), lead, role=Role.NOTHING)
    register(app, parts, [*VIEWS, *listing_views(app.settings.catalogue)])
    add(app, SERIES, partial(answer_series, parts), role=Role.READ)
    broadcaster = Broadcaster(partial(_news, parts))
    add(app, LIVE, partial(stream, broadcaster), role=Role.READ)
    app.stream_paths.add(LIVE)
    web_application(app).on_shutdown.append(lambda _: broadcaster.close())


async def _news(parts: Parts) -> Message:
    current = await now(parts.database)
    sample(parts, current)
    # The moment itself is no news.
    return Message("now", current.model_dump_json(exclude={"at"}))
