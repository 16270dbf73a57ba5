"""The story of an entity: events and decisions of it, and of what is around it, in one line of time.

    sources = sources_of(settings, database)              # one for each worker
    story = await story_of(sources, "order", "o-17")      # a `Story`; never fails for a source that is away
    case = await case_of(sources, story)                  # with the records, and what agents knew, verified
    html = case_file(redacted(case, ["address"]))

A page needs no more than the `Story`: `entries` in their order, each with an `id` that is fit for an anchor; `links`
name entries by it and are what is drawn; `around` are the other stories to link to; `next` is the `before` of what was
earlier; `sources` and `left_out` say what is not there. An `entry.kind` is `event`, `decision`, `answer`,
`dead_letter`, `gap` or `group`. Every text in it may have been written by anybody. What an agent knew is asked for
when somebody opens it (`DecisionEntry.knew.link`).
"""

from __future__ import annotations

from app.story.building import build
from app.story.case import Case, case_of
from app.story.case_file import case_file, problems_of
from app.story.finding import FoundStories, find
from app.story.gathering import DEFAULT_EVENTS, MAX_EVENTS, gather
from app.story.model import Story
from app.story.redacting import fields_of, redacted
from app.story.sources import Sources, sources_of

__all__ = [
    "DEFAULT_EVENTS",
    "MAX_EVENTS",
    "Case",
    "FoundStories",
    "Sources",
    "Story",
    "case_file",
    "case_of",
    "fields_of",
    "find",
    "problems_of",
    "redacted",
    "sources_of",
    "story_of",
]


async def story_of(
    sources: Sources, entity: str, entity_id: str, *, events: int = DEFAULT_EVENTS, before: int | None = None
) -> Story:
    """Tell the story of an entity: its newest `events` events, or those before an offset of its timeline.

    Raises KeyError for a kind of entity that no loaded domain declares. PostgreSQL or Kafka that is away, or slow, is
    told of in the story.
    """
    if entity not in sources.catalogue.entities:
        raise KeyError(entity)
    material = await gather(sources, entity, entity_id, events=events, before=before)
    return build(material, entities=sources.catalogue.entities, naming=sources.naming)
