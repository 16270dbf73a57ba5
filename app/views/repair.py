"""Repair: dead letters and buried messages, put back by somebody who says who they are.

What changes something is JSON and says so in its `Content-Type`: a page in somebody's browser cannot send that to
another origin without asking first.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from faust.web import Request, Response, View
from pydantic import ValidationError

from app.operators.approvals import SignedForm, expected
from app.views.pages import as_objects, cut, limit_of, page, uuid_of
from outbox.database import queries
from outbox.dead import dig_up
from outbox.replays import NotReplayed, UnknownLetter

if TYPE_CHECKING:
    from app.worker.application import Innervate

_SQL: Final = queries("dead.sql")

_BURIED: Final = ("seq", "message_id", "topic", "reason", "committed_at", "died_at", "value_bytes")
#: What PostgreSQL counts messages with.
_LARGEST_SEQ: Final = 2**63 - 1


def register_repair_views(app: Innervate) -> None:
    """Add `/dead-letters/{id}/replay`, `/outbox/dead` and `/outbox/dead/{seq}/replay`."""

    @page(app, "/dead-letters/{letter_id}/replay", name="replay_letter")
    class ReplayLetter(View):
        """Put a dead letter back where it came from, once."""

        async def post(self, request: Request, letter_id: str) -> Response:
            """202, the relay publishes it; 409 says why not."""
            dead = uuid_of(letter_id, "dead letter")
            form = await _form(request)
            try:
                letter = await app.runtime.replays.replay(dead, by=form.by)
            except UnknownLetter as unknown:
                raise web.HTTPNotFound(reason=str(unknown)) from unknown
            except NotReplayed as refusal:
                raise web.HTTPConflict(reason=str(refusal)) from refusal
            return self.json({"id": letter_id, "topic": letter.topic, "by": form.by}, status=202)

    @page(app, "/outbox/dead", name="buried", query=("limit", "before"))
    async def buried(self: View, request: Request) -> Response:
        """The newest messages Kafka refused for good; `?limit= before=SEQ`."""
        database, limit, text = app.runtime.database, limit_of(request), request.query.get("before")
        before = None if text is None else _seq(text)
        if before is not None and not await database.run(_SQL["known_seq"], {"seq": before}):
            raise web.HTTPNotFound(reason=f"there was never a message {before}")
        rows = await database.run(_SQL["buried_page"], {"limit": limit + 1, "before": before})
        found, following = cut(as_objects(_BURIED, rows), limit, itemgetter("seq"))
        return self.json({"messages": found, "next": following})

    @page(app, "/outbox/dead/{seq}/replay", name="replay_buried")
    class ReplayBuried(View):
        """Put a buried message back into the outbox, under its old id."""

        async def post(self, request: Request, seq: str) -> Response:
            """202, the relay publishes it; 404 when nothing is buried under that number, or not any more."""
            number = _seq(seq)
            _require_json(request)
            ids = await dig_up(app.runtime.database, number)
            if not ids:
                raise web.HTTPNotFound(reason=f"no buried message {seq}")
            app.runtime.look_for_messages()
            return self.json({"seq": number, "message_id": ids[0]}, status=202)


async def _form(request: Any) -> SignedForm:
    _require_json(request)
    try:
        return SignedForm.model_validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(reason=expected(error)) from error


def _require_json(request: Any) -> None:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="a request that changes something is application/json")


def _seq(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or int(text) > _LARGEST_SEQ:
        raise web.HTTPBadRequest(reason="a message's seq is a number")
    return int(text)
