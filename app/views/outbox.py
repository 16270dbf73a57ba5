"""The outbox and what left it for good: buried messages and dead letters, and putting them back.

Who puts something back says who they are. What changes something is JSON and says so in its `Content-Type`: a page in
somebody's browser cannot send that to another origin without asking first.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from app.operators.approvals import SignedForm, expected
from app.views.pages import as_objects, before_of, cut, json_response, limit_of, uuid_of
from outbox.buried import redrive_buried
from outbox.database import Database, queries
from outbox.redrives import NotRedriven, Redrives, UnknownDeadLetter
from outbox.relay import Relay
from outbox.watch import OutboxWatch

_SQL: Final = queries("views.sql")
_BURIED_SQL: Final = queries("buried.sql")

#: Messages are counted up to so many.
COUNTED: Final = 10_000

#: What PostgreSQL counts messages with.
_LARGEST_SEQ: Final = 2**63 - 1

#: Parameters of the queries.
DEAD_LETTERS_QUERY: Final = ("reason", "consumer", "limit", "before")
BURIED_QUERY: Final = ("limit", "before")


async def show_outbox(database: Database, watch: OutboxWatch, relay: Relay, _request: web.Request) -> web.Response:
    """How much waits to be published (counted up to 10,000), for how long, and which lanes this worker holds."""
    [counted] = await database.run(_SQL["outbox"], {"at_most": COUNTED})
    lanes = (await watch.look()).lanes
    return json_response(
        {
            "pending": min(counted.pending, COUNTED),
            **({"more_is_pending": True} if counted.pending > COUNTED else {}),
            "oldest_seconds": max((lane.age_seconds for lane in lanes), default=0.0),
            "dead": min(counted.dead, COUNTED),
            "lanes": list(relay.lanes),
        }
    )


async def list_dead_letters(database: Database, request: web.Request) -> web.Response:
    """The newest dead letters; `?reason= consumer= limit= before=ID`."""
    limit = limit_of(request)
    parameters: dict[str, Any] = {name: request.query.get(name) for name in ("reason", "consumer")}
    before = await before_of(request, database, _SQL["known_dead_letter"], "dead letter")
    rows = await database.run(_SQL["dead_letters"], {**parameters, "before": before, "limit": limit + 1})
    found, following = cut(as_objects(rows), limit, itemgetter("id"))
    return json_response({"dead_letters": found, "next": following})


async def redrive_dead_letter(redrives: Redrives, request: web.Request, letter_id: str) -> web.Response:
    """Put a dead letter back where it came from, once: 202, the relay publishes it; 409 says why not."""
    dead = uuid_of(letter_id, "dead letter")
    form = await _form(request)
    try:
        letter = await redrives.redrive(dead, by=form.by)
    except UnknownDeadLetter as unknown:
        raise web.HTTPNotFound(reason=str(unknown)) from unknown
    except NotRedriven as refusal:
        raise web.HTTPConflict(reason=str(refusal)) from refusal
    return json_response({"id": letter_id, "topic": letter.topic, "by": form.by}, status=202)


async def list_buried(database: Database, request: web.Request) -> web.Response:
    """The newest messages Kafka refused for good; `?limit= before=SEQ`."""
    limit, text = limit_of(request), request.query.get("before")
    before = None if text is None else _seq(text)
    if before is not None and not await database.run(_BURIED_SQL["known_seq"], {"seq": before}):
        raise web.HTTPNotFound(reason=f"there was never a message {before}")
    rows = await database.run(_BURIED_SQL["buried_page"], {"limit": limit + 1, "before": before})
    found, following = cut(as_objects(rows), limit, itemgetter("seq"))
    return json_response({"messages": found, "next": following})


async def redrive_buried_message(
    database: Database, look_for_messages: Callable[[], None], request: web.Request, seq: str
) -> web.Response:
    """Put a buried message back into the outbox, under its old id: 202, the relay publishes it.

    404 when nothing is buried under that number, or not any more.
    """
    number = _seq(seq)
    _require_json(request)
    ids = await redrive_buried(database, number)
    if not ids:
        raise web.HTTPNotFound(reason=f"no buried message {seq}")
    look_for_messages()
    return json_response({"seq": number, "message_id": ids[0]}, status=202)


async def _form(request: web.Request) -> SignedForm:
    _require_json(request)
    try:
        return SignedForm.model_validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(reason=expected(error)) from error


def _require_json(request: web.Request) -> None:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="a request that changes something is application/json")


def _seq(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or int(text) > _LARGEST_SEQ:
        raise web.HTTPBadRequest(reason="a message's seq is a number")
    return int(text)
