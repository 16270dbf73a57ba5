"""Outbox: how much waits to be published and for how long, what that means, and what Kafka refused for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from app.operators.approvals import SignedForm
from app.operators.signatures import operator_of
from app.page.contents import cut_bytes
from app.page.forms import Told, read_form
from app.page.parts import Parts
from app.page.security import ALWAYS
from app.page.series import Sample, as_columns, is_rising, latest
from app.page.view import Shown, View, Visit
from app.reads import now
from app.reads.outbox import COUNTED, BuriedQuery, Outbox, buried, buried_groups, buried_message, outbox
from app.reads.shapes import NotFound
from app.web.callers import Role
from app.worker.readiness import STUCK_AFTER_SECONDS
from outbox.buried import redrive_buried

_SECTION: Final = "/ui/outbox"
#: Where the newest samples are, for the drawing.
SERIES: Final = "/ui/outbox/series"
#: Digits of what PostgreSQL counts messages with.
_MOST_DIGITS: Final = 18
#: Lanes that are shown one by one.
_LANES: Final = 10


async def show(visit: Visit) -> Shown:
    """The outbox, and a page of what is buried."""
    query: BuriedQuery = visit.query
    parts = visit.parts
    found = await outbox(parts.database, parts.runtime.watch, parts.runtime.relay)
    _take(parts, found.pending, found.oldest_seconds)
    samples = parts.series.samples
    page = await buried(parts.database, query)
    context: dict[str, Any] = {
        "outbox": found,
        "meaning": meaning(found, samples),
        "lanes": found.waiting[:_LANES],
        "samples": samples,
        "columns": as_columns(samples),
        "series": SERIES,
        "page": page,
        "query": query,
        "groups": (await buried_groups(parts.database)).groups if page.messages else [],
    }
    return Shown(template="outbox.html", context=context)


async def show_buried(visit: Visit) -> Shown:
    """One buried message with its bytes."""
    message = await buried_message(visit.parts.database, _seq(visit.place["seq"]))
    context: dict[str, Any] = {
        "message": message,
        "key": cut_bytes(message.key),
        "value": cut_bytes(message.value),
        "asked_by": visit.caller,
        "may_redrive": visit.caller.role >= Role.OPERATE,
    }
    return Shown(template="buried_message.html", context=context, title=f"Refused message {message.seq}")


async def redrive(visit: Visit) -> Shown:
    """Put a buried message back, and say what became of it."""
    seq = _seq(visit.place["seq"])
    form = await read_form(visit, SignedForm)
    runtime = visit.parts.runtime
    if await redrive_buried(runtime.database, seq, by=operator_of(form, visit.caller)):
        runtime.look_for_messages()
        told = Told(kind="good", says="Put back: it is published behind what waits.")
    else:
        says = "It is not buried any more: somebody was faster, or it was never there."
        told = Told(kind="bad", says=says, status=409)
    context = {"seq": seq, "told": told, "asked_by": visit.caller}
    return Shown(template="put_back.html", context=context, status=told.status)


async def answer_series(parts: Parts, _request: web.Request) -> web.Response:
    """What was sampled lately, as it is drawn."""
    headers = {**ALWAYS, "Cache-Control": "no-store"}
    return web.json_response(as_columns(parts.series.samples), headers=headers)


def sample(parts: Parts, current: now.Now) -> None:
    """Take a sample of what is known already: the age is what the worker saw when it looked last."""
    ages = [lane.age_seconds for lane in parts.runtime.watch.pending.lanes] if current.pending else []
    _take(parts, current.pending, max(ages, default=0.0))


def _take(parts: Parts, pending: int, oldest_seconds: float) -> None:
    # Every second it is counted up to a lower bound than when somebody asks for the outbox.
    parts.series.add(Sample(at=datetime.now(UTC), pending=min(pending, now.COUNTED), oldest_seconds=oldest_seconds))


def meaning(found: Outbox, samples: Sequence[Sample]) -> tuple[str, str]:
    """How it is (good, wait or bad), and a sentence that says so. Pure."""
    if not found.pending:
        return "good", "Everything that was committed is published."
    many = f"more than {COUNTED:,}" if found.more_is_pending else f"{found.pending:,}"
    messages = f"{many} {'message waits' if found.pending == 1 else 'messages wait'}, the oldest for "
    waited = f"{messages}{found.oldest_seconds:.0f} s"
    if found.oldest_seconds > STUCK_AFTER_SECONDS:
        return "bad", f"{waited}: Kafka does not take them, or no worker has their lanes. Nothing is lost meanwhile."
    seen = latest(samples)
    if is_rising([each.oldest_seconds for each in seen]):
        return "wait", f"{waited}, and longer and longer: less is published than is committed."
    if is_rising([each.pending for each in seen]):
        return "wait", f"{waited}, and they become more: more is committed than is published, or a burst came in."
    return "good", f"{waited}: they are on their way."


def _seq(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise NotFound("a message is named by a number")
    return int(text)


VIEWS: Final = (
    View(path=_SECTION, title="Outbox", answer=show, query=BuriedQuery, in_navigation=True),
    View(path=f"{_SECTION}/dead/{{seq}}", title="Refused message", answer=show_buried, section=_SECTION),
    View(
        path=f"{_SECTION}/dead/{{seq}}/redrive",
        title="Outbox",
        answer=redrive,
        method="post",
        role=Role.OPERATE,
        section=_SECTION,
    ),
)
