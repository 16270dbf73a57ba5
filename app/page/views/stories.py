"""Stories: found by any id, and told in one line of time with what led to what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

from aiohttp import web
from pydantic import Field

from app.page.causation import rails
from app.page.view import Shown, View, Visit
from app.reads.decisions import DecisionsQuery, decisions
from app.reads.shapes import Query, Term, digits
from app.story import Story, find, story_of
from app.story.model import Entry

#: Where this is in the navigation.
_SECTION: Final = "/ui/stories"
#: Recent decisions that are looked at for whom something happened to lately.
_RECENT: Final = 200
#: Of those, so many are shown.
_SHOWN: Final = 40


class FindQuery(Query):
    """What is looked for."""

    find: Term | None = None
    """Any id: of an entity, an event, a message, a correlation, a decision, a row."""


class StoryQuery(Query):
    """A part of a story."""

    before: Annotated[int, Field(ge=0), digits(0, 2**63 - 1)] | None = None
    """An offset of the entity's timeline: what was before it."""


async def show_search(visit: Visit) -> Shown | web.StreamResponse:
    """Stories that an id belongs to; the story itself where there is one; and who was heard of lately."""
    text = (visit.query.find or "").strip()
    found = (await find(visit.parts.stories, text)).stories if text else []
    if len(found) == 1:
        return web.Response(status=303, headers={"Location": address(found[0].entity, found[0].entity_id)})
    newest = await decisions(visit.parts.database, DecisionsQuery(limit=_RECENT))
    recent = {(one.entity, one.entity_id): one for one in reversed(newest.decisions)}
    shown = sorted(recent.values(), key=lambda one: one.decided_at, reverse=True)[:_SHOWN]
    return Shown(template="stories.html", context={"text": text, "found": found, "recent": shown})


async def show_story(visit: Visit) -> Shown:
    """The story of one entity."""
    entity, entity_id = visit.place["entity"], visit.place["entity_id"]
    if entity not in visit.parts.stories.catalogue.entities:
        raise web.HTTPNotFound(reason=f"nothing is of the kind {entity}")
    story = await story_of(visit.parts.stories, entity, entity_id, before=visit.query.before)
    return Shown(template="story.html", context=story_context(story), title=f"{entity} {entity_id}")


def story_context(story: Story) -> Mapping[str, Any]:
    """What the template of a story names."""
    rows = {inner: entry.id for entry in story.entries for inner in ids(entry)}
    links = [(rows[link.cause], rows[link.effect]) for link in story.links if {link.cause, link.effect} <= rows.keys()]
    causes: defaultdict[str, list[str]] = defaultdict(list)
    effects: defaultdict[str, list[str]] = defaultdict(list)
    for link in story.links:
        if {link.cause, link.effect} <= rows.keys():
            causes[rows[link.effect]].append(link.cause)
            effects[rows[link.cause]].append(link.effect)
    return {
        "story": story,
        "here": address(story.entity, story.entity_id),
        "case_file": f"{address(story.entity, story.entity_id).removeprefix('/ui')}/case-file",
        "labels": labels(story.entries),
        "causes": causes,
        "effects": effects,
        "rails": rails([entry.id for entry in story.entries], links),
    }


def ids(entry: Entry) -> Iterable[str]:
    """The ids by which an entry is named: its own, and those of the entries it groups."""
    yield entry.id
    if entry.kind == "group":
        for inner in entry.entries:
            yield inner.id


def labels(entries: Sequence[Entry]) -> Mapping[str, str]:
    """What each entry is called where another one names it."""
    found: dict[str, str] = {}
    for entry in entries:
        found[entry.id] = label(entry)
        if entry.kind == "group":
            found |= {inner.id: inner.type for inner in entry.entries}
    return found


def label(entry: Entry) -> str:
    """An entry in a few words."""
    match entry.kind:
        case "event":
            return entry.type
        case "decision":
            return f"{entry.agent}: {entry.outcome}"
        case "answer":
            return f"answer: {entry.answer}"
        case "dead_letter":
            return "dead letter"
        case "gap":
            return "gap"
        case "group":
            return f"{len(entry.entries)} {entry.type}"


def address(entity: str, entity_id: str) -> str:
    """Where the story of an entity is."""
    return f"{_SECTION}/{quote(entity, safe='')}/{quote(entity_id, safe='')}"


VIEWS: Final = (
    View(path=_SECTION, title="Stories", answer=show_search, query=FindQuery, in_navigation=True),
    View(
        path=f"{_SECTION}/{{entity}}/{{entity_id:.+}}",
        title="Story",
        answer=show_story,
        query=StoryQuery,
        section=_SECTION,
    ),
)
