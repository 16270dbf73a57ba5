"""Stories: what happened to an entity, what was done, what is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from app.reads.shapes import NotFound, Query, Term, digits
from app.story import DEFAULT_EVENTS, MAX_EVENTS, FoundStories, Story, find, sources_of, story_of
from app.views.endpoints import Asked, Endpoint
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


class FindQuery(Query):
    """What to look for."""

    text: Term
    """The id of an entity, an event, a message, a correlation or a decision, or a value beside one."""


def story_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What tells stories."""
    sources = sources_of(app.settings, app.runtime.database)

    async def show_story(asked: Asked) -> Story:
        place, query = asked.place, asked.query
        if place.entity not in sources.catalogue.entities:
            raise NotFound(f"an entity is one of {', '.join(sources.catalogue.entities)}")
        return await story_of(sources, place.entity, place.entity_id, events=query.events, before=query.before)

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
        Endpoint(
            path="/stories/{entity}/{entity_id:.+}",
            place=StoryPlace,
            query=StoryQuery,
            answer=show_story,
            summary="Events and decisions of an entity, and of what is around it, in one line of time.",
            answers=Story,
        ),
    ]
