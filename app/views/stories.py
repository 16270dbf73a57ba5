"""Stories: what happened to an entity, what was done, what is open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from aiohttp import web
from pydantic import Field, RootModel

from app.reads.shapes import NotFound, Query, Term, digits
from app.story import (
    DEFAULT_EVENTS,
    MAX_EVENTS,
    FoundStories,
    Story,
    case_file,
    case_of,
    fields_of,
    find,
    redacted,
    sources_of,
    story_of,
)
from app.views.endpoints import NO_STORE, Asked, Endpoint
from app.worker.application import Innervate

#: The largest offset of Kafka.
_LAST_OFFSET = 2**63 - 1


class StoryPlace(Query):
    """An entity."""

    entity: Term
    entity_id: Term


class StoryQuery(Query):
    """How much of a story."""

    events: Annotated[int, Field(ge=1, le=MAX_EVENTS), digits(1, MAX_EVENTS)] = DEFAULT_EVENTS
    """Events of the entity itself, at most: the newest."""
    before: Annotated[int, Field(ge=0), digits(0, _LAST_OFFSET)] | None = None
    """What was before this offset of the entity's timeline; `next` of the story that begins there."""


class CaseFileQuery(StoryQuery):
    """How much of a story, and what of it is not shown."""

    redact: Term | None = None
    """Fields of events whose values are replaced, separated by commas; `standard` are those of `LLM_REDACT`."""


class CaseFile(RootModel[str]):
    """A page of HTML."""


class FindQuery(Query):
    """What to look for."""

    text: Term
    """The id of an entity, an event, a message, a correlation or a decision, or a value beside one."""


def story_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What tells stories."""
    sources = sources_of(app.settings, app.runtime.database)

    async def tell(asked: Asked) -> Story:
        place, query = asked.place, asked.query
        if place.entity not in sources.catalogue.entities:
            raise NotFound(f"an entity is one of {', '.join(sources.catalogue.entities)}")
        return await story_of(sources, place.entity, place.entity_id, events=query.events, before=query.before)

    async def write_case_file(asked: Asked) -> web.Response:
        case = await case_of(sources, await tell(asked))
        fields = fields_of(asked.query.redact, app.settings.llm_redact)
        # It may be some megabytes, and others wait for the event loop.
        text = await asyncio.to_thread(lambda: case_file(redacted(case, fields) if fields else case))
        headers = {
            "Content-Disposition": 'attachment; filename="case-file.html"',
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers | NO_STORE)

    async def find_stories(asked: Asked) -> FoundStories:
        return await find(sources, asked.query.text)

    return [
        Endpoint(
            path="/stories",
            query=FindQuery,
            answer=find_stories,
            summary="Which stories a text belongs to.",
            answers=FoundStories,
        ),
        # Before the story itself, whose id may have slashes.
        Endpoint(
            path="/stories/{entity}/{entity_id:.+}/case-file",
            place=StoryPlace,
            query=CaseFileQuery,
            answer=write_case_file,
            summary="The story in one file that is read offline, with the records behind it and their hashes.",
            answers=CaseFile,
            media_type="text/html",
        ),
        Endpoint(
            path="/stories/{entity}/{entity_id:.+}",
            place=StoryPlace,
            query=StoryQuery,
            answer=tell,
            summary="Events and decisions of an entity, and of what is around it, in one line of time.",
            answers=Story,
        ),
    ]
