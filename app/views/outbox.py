"""The outbox and what left it for good: buried messages and dead letters, and putting them back.

Who puts something back says who they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal
from uuid import UUID

from aiohttp import web

from app.operators.approvals import SignedForm
from app.operators.signatures import operator_of
from app.reads.dead_letters import (
    DeadLetterGroups,
    DeadLettersPage,
    DeadLettersQuery,
    WholeDeadLetter,
    dead_letter,
    dead_letter_groups,
    dead_letters,
)
from app.reads.outbox import (
    BuriedGroups,
    BuriedPage,
    BuriedQuery,
    Outbox,
    Seq,
    WholeBuriedMessage,
    buried,
    buried_groups,
    buried_message,
    outbox,
)
from app.reads.shapes import NotFound, Query, RowId, Shape
from app.views.endpoints import Asked, Endpoint, Nothing
from app.web.callers import Role
from app.worker.application import Innervate
from outbox.buried import redrive_buried
from outbox.redrives import NotRedriven, UnknownDeadLetter

#: What puts something back is called so; the second name is the older one.
_REDRIVE: Sequence[Literal["redrive", "replay"]] = ("redrive", "replay")


class LetterPlace(Query):
    """A dead letter."""

    letter_id: RowId


class SeqPlace(Query):
    """A buried message."""

    seq: Seq


class RedrivenLetter(Shape):
    """A dead letter that the relay publishes again."""

    id: UUID
    topic: str
    by: str


class RedrivenMessage(Shape):
    """A buried message that the relay publishes again, under its old id."""

    seq: int
    message_id: str


def outbox_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What waits, what is buried, what died, and what can be put back."""
    return [*_reads(app), *_redrives(app)]


def _reads(app: Innervate) -> Sequence[Endpoint]:
    runtime, database = app.runtime, app.runtime.database

    async def show_outbox(_asked: Asked) -> Outbox:
        return await outbox(database, runtime.watch, runtime.relay)

    async def list_buried(asked: Asked) -> BuriedPage:
        return await buried(database, asked.query)

    async def group_buried(_asked: Asked) -> BuriedGroups:
        return await buried_groups(database)

    async def show_buried(asked: Asked) -> WholeBuriedMessage:
        return await buried_message(database, asked.place.seq)

    async def list_letters(asked: Asked) -> DeadLettersPage:
        return await dead_letters(database, asked.query)

    async def group_letters(_asked: Asked) -> DeadLetterGroups:
        return await dead_letter_groups(database)

    async def show_letter(asked: Asked) -> WholeDeadLetter:
        return await dead_letter(database, asked.place.letter_id)

    return [
        Endpoint(
            path="/outbox",
            answer=show_outbox,
            summary="How much waits to be published (counted up to 10,000), for how long, and this worker's lanes.",
            answers=Outbox,
        ),
        Endpoint(
            path="/outbox/dead",
            answer=list_buried,
            query=BuriedQuery,
            summary="The newest messages Kafka refused for good.",
            answers=BuriedPage,
        ),
        Endpoint(
            path="/outbox/dead-groups",
            answer=group_buried,
            summary="What the newest 10,000 of them have in common.",
            answers=BuriedGroups,
        ),
        Endpoint(
            path="/outbox/dead/{seq}",
            place=SeqPlace,
            answer=show_buried,
            summary="A message Kafka refused for good, with its bytes.",
            answers=WholeBuriedMessage,
        ),
        Endpoint(
            path="/dead-letters",
            answer=list_letters,
            query=DeadLettersQuery,
            summary="The newest dead letters that the filters let pass.",
            answers=DeadLettersPage,
        ),
        Endpoint(
            path="/dead-letter-groups",
            answer=group_letters,
            query=Nothing,
            summary="What the newest 10,000 of them have in common.",
            answers=DeadLetterGroups,
        ),
        Endpoint(
            path="/dead-letters/{letter_id}",
            place=LetterPlace,
            answer=show_letter,
            summary="A dead letter with its bytes.",
            answers=WholeDeadLetter,
        ),
    ]


def _redrives(app: Innervate) -> Sequence[Endpoint]:
    runtime = app.runtime

    async def redrive_letter(asked: Asked) -> RedrivenLetter:
        operator = operator_of(asked.body, asked.caller)
        try:
            letter = await runtime.redrives.redrive(asked.place.letter_id, by=operator)
        except UnknownDeadLetter as unknown:
            raise web.HTTPNotFound(reason=str(unknown)) from unknown
        except NotRedriven as refusal:
            raise web.HTTPConflict(reason=str(refusal)) from refusal
        return RedrivenLetter(id=asked.place.letter_id, topic=letter.topic, by=operator.name)

    async def redrive_message(asked: Asked) -> RedrivenMessage:
        ids = await redrive_buried(runtime.database, asked.place.seq, by=operator_of(asked.body, asked.caller))
        if not ids:
            raise NotFound(f"no buried message {asked.place.seq}")
        runtime.look_for_messages()
        return RedrivenMessage(seq=asked.place.seq, message_id=ids[0])

    letter = Endpoint(
        path="/dead-letters/{letter_id}",
        place=LetterPlace,
        body=SignedForm,
        method="post",
        role=Role.OPERATE,
        answer=redrive_letter,
        summary="Put a dead letter back where it came from, once; 409 says why not.",
        answers=RedrivenLetter,
        status=202,
    )
    message = replace(
        letter,
        path="/outbox/dead/{seq}",
        place=SeqPlace,
        answer=redrive_message,
        summary="Put a buried message back into the outbox, under its old id.",
        answers=RedrivenMessage,
    )
    return [replace(each, path=f"{each.path}/{name}") for each in (letter, message) for name in _REDRIVE]
