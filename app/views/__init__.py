"""Views: what a worker knows, as JSON over HTTP, and what operators may do there.

A view is a function of the parts it needs and a request; here each gets its path and its parts.
"""

from __future__ import annotations

from functools import partial

from app.views.agents import list_agents, show_window
from app.views.approvals import APPROVALS_QUERY, approve, list_approvals, reject
from app.views.decisions import DECISIONS_QUERY, SHADOWS_QUERY, list_decisions, list_shadows, show_decision
from app.views.health import live, ready
from app.views.outbox import (
    BURIED_QUERY,
    DEAD_LETTERS_QUERY,
    list_buried,
    list_dead_letters,
    redrive_buried_message,
    redrive_dead_letter,
    show_outbox,
)
from app.views.pages import add_page
from app.views.time_machine import TIMELINE_QUERY, LookBackViews
from app.web.callers import Role
from app.worker.application import Innervate


def register_views(app: Innervate) -> None:
    """Add every page to Faust's web server."""
    runtime, settings, streams = app.runtime, app.settings, app.agent_streams
    database, approvals, redrives = runtime.database, runtime.approvals, runtime.redrives
    looking_back = LookBackViews(settings, database)
    get = partial(add_page, app, role=Role.READ)
    post = partial(add_page, app, method="post")

    get("/health/live", live, role=Role.NOTHING)
    get("/health/ready", partial(ready, runtime, settings, app.is_rebalancing), role=Role.NOTHING)
    get("/agents", partial(list_agents, settings.agent_set, streams))
    get("/agents/{agent}/windows/{entity_id:.+}", partial(show_window, app, streams))
    get("/decisions", partial(list_decisions, database), query=DECISIONS_QUERY)
    get("/decisions/{decision_id}", partial(show_decision, database, approvals))
    get("/decisions/{decision_id}/history", looking_back.show_history)
    post("/decisions/{decision_id}/approve", partial(approve, approvals), role=Role.APPROVE)
    post("/decisions/{decision_id}/reject", partial(reject, approvals), role=Role.APPROVE)
    get("/approvals", partial(list_approvals, database, approvals), query=APPROVALS_QUERY)
    get("/timelines/{entity}/{entity_id:.+}", looking_back.show_timeline, query=TIMELINE_QUERY)
    get("/outbox", partial(show_outbox, database, runtime.watch, runtime.relay))
    get("/outbox/dead", partial(list_buried, database), query=BURIED_QUERY)
    for redrive in ("redrive", "replay"):  # the older name
        put_back = partial(redrive_buried_message, database, runtime.look_for_messages)
        post(f"/outbox/dead/{{seq}}/{redrive}", put_back, role=Role.OPERATE)
        post(f"/dead-letters/{{letter_id}}/{redrive}", partial(redrive_dead_letter, redrives), role=Role.OPERATE)
    get("/dead-letters", partial(list_dead_letters, database), query=DEAD_LETTERS_QUERY)
    get("/shadows", partial(list_shadows, database), query=SHADOWS_QUERY)
