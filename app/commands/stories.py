"""Commands about stories: `story`, one for each kind of entity (`order o-17`), and `case-file` to check a file.

They read Kafka and PostgreSQL and change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from faust.cli import argument, option

from agents.model.text import escaped
from app.commands.terminal import Command, Terminal, command, opened, pretty
from app.settings import Settings
from app.story import (
    DEFAULT_EVENTS,
    MAX_EVENTS,
    Story,
    case_of,
    fields_of,
    problems_of,
    redacted,
    sources_of,
    story_of,
)
from app.story import case_file as written
from app.story.headline import counted, moment
from app.story.model import (
    AnswerEntry,
    DecisionEntry,
    Entry,
    EventEntry,
    GapEntry,
    GroupEntry,
    LetterEntry,
    Link,
    MessageFate,
)

_OPTIONS: Final = (
    option("--events", default=DEFAULT_EVENTS, show_default=True, type=click.IntRange(1, MAX_EVENTS)),
    option("--before", type=click.IntRange(min=0), help="What was before this offset of its timeline."),
    option(
        "--case-file",
        "out",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write it to a file that is read offline, with the records behind it and their hashes.",
    ),
    option(
        "--redact",
        metavar="FIELD,FIELD",
        help="Replace what these fields say in the case file; `standard`: those of LLM_REDACT.",
    ),
    option("--json", "as_document", is_flag=True, help="Print JSON."),
)


@command(argument("entity"), argument("entity_id"), *_OPTIONS)
async def story(terminal: Terminal, settings: Settings, *, entity: str, entity_id: str, **typed: Any) -> None:
    """Tell what happened to an entity, what was done and what is open."""
    click.Choice(list(settings.catalogue.entities)).convert(entity, None, None)
    await _tell(terminal, settings, entity, entity_id, **typed)


def entity_commands(kinds: Collection[str], taken: Collection[str]) -> Iterator[Command]:
    """A command for each kind of entity, by its name, but where there is a command of that name."""
    for kind in kinds:
        if kind.replace("_", "-") not in taken:
            yield _entity_command(kind)


@command(
    option(
        "--verify",
        "file",
        required=True,
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The file to check.",
    )
)
async def case_file(terminal: Terminal, *, file: Path) -> None:
    """Check every hash in a case file; exit code 1 when something was changed."""
    problems = problems_of(await asyncio.to_thread(file.read_bytes))
    for problem in problems:
        terminal.say(escaped(problem))
    if problems:
        raise SystemExit(1)
    terminal.say(f"{escaped(str(file))}: every hash is right")


def _entity_command(kind: str) -> Command:
    async def tell(terminal: Terminal, settings: Settings, *, entity_id: str, **typed: Any) -> None:
        await _tell(terminal, settings, kind, entity_id, **typed)

    tell.__name__, tell.__doc__ = kind, f"Tell what happened to one {kind}, what was done and what is open."
    return command(argument("entity_id"), *_OPTIONS)(tell)


async def _tell(
    terminal: Terminal,
    settings: Settings,
    entity: str,
    entity_id: str,
    *,
    events: int,
    before: int | None,
    out: Path | None,
    redact: str | None,
    as_document: bool,
) -> None:
    if redact and out is None:
        raise click.UsageError("--redact is about the case file: say --case-file as well")
    fields = fields_of(redact, settings.llm_redact)
    async with opened(settings.database_url) as database:
        sources = sources_of(settings, database)
        told = await story_of(sources, entity, entity_id, events=events, before=before)
        if out is not None:
            case = await case_of(sources, told)
            text = written(redacted(case, fields) if fields else case)
            await asyncio.to_thread(out.write_text, text, encoding="utf-8", newline="\n")
    if as_document or terminal.json:
        terminal.say(pretty(told.model_dump(mode="json")))
    elif out is None:
        terminal.say("\n".join(map(escaped, lines(told))))
    else:
        terminal.say(f"{escaped(str(out))}: {counted(len(told.entries), 'entry').replace('entrys', 'entries')}")


def lines(told: Story) -> Iterator[str]:
    """The story for a terminal."""
    for title, sentences in (
        ("What happened", told.headline.happened),
        ("What was done", told.headline.done),
        ("What is open", told.headline.open),
    ):
        yield title
        yield from (f"  {sentence}" for sentence in sentences)
        yield ""
    causes: dict[str, list[Link]] = {}
    for link in told.links:
        causes.setdefault(link.effect, []).append(link)
    names = _names(told.entries)
    for entry in told.entries:
        yield from _entry(entry)
        for link in causes.get(entry.id, ()):
            yield f"{_MARGIN}← {_LED[link.kind]} {names.get(link.cause, 'what is not shown')}"
    yield from ("", *(f"Left out: {each}." for each in told.left_out)) if told.left_out else ()
    if told.next is not None:
        yield f"What was earlier: --before {told.next}"


_MARGIN: Final = " " * 26
#: How an entry says what led to it.
_LED: Final[Mapping[str, str]] = {
    "decided": "on",
    "published": "published by",
    "caused": "caused by",
    "answered": "about",
    "died": "of",
}


def _names(entries: Sequence[Entry]) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, GroupEntry):
            names |= _names(entry.entries)
        elif isinstance(entry, EventEntry):
            names[entry.id] = f"{entry.type} {entry.event_id}"
        elif isinstance(entry, DecisionEntry):
            names[entry.id] = f"{entry.agent}: {entry.outcome}"
    return names


def _entry(entry: Entry) -> Iterator[str]:
    at = f"{moment(entry.at):<24}"
    if isinstance(entry, EventEntry):
        roles = " ".join(dict.fromkeys(mark.role.upper() for mark in entry.marks))
        state = "" if entry.state == "log" else f" ({entry.state})"
        copies = f" +{entry.copies} copies" if entry.copies else ""
        yield f"{at}  {entry.type} {entry.event_id}{state}{copies} {roles}".rstrip()
    elif isinstance(entry, GroupEntry):
        yield f"{at}  {len(entry.entries)} times {entry.type}, until {moment(entry.until)}"
    elif isinstance(entry, DecisionEntry):
        yield f"{at}  {entry.agent} decided {entry.outcome} ({entry.confidence:.2f}, {entry.brain}, {entry.status})"
        yield f"{_MARGIN}{entry.reason}"
        yield from (f"{_MARGIN}row in {each.table}" for each in entry.effects)
        if entry.not_kept is not None:
            yield f"{_MARGIN}{entry.not_kept.sentence}"
        yield from (f"{_MARGIN}{_message(each)}" for each in entry.messages if each.state not in {"log", "given_up"})
    elif isinstance(entry, AnswerEntry):
        yield f"{at}  {entry.answer}{'' if entry.by is None else f' by {entry.by}'}"
    elif isinstance(entry, LetterEntry):
        yield f"{at}  dead letter of {entry.consumer}: {entry.reason}, {entry.detail}"
    elif isinstance(entry, GapEntry):
        yield f"{'':<24}  … {entry.sentence}"


def _message(message: MessageFate) -> str:
    why = f": {message.reason}" if message.reason else ""
    return f"{message.state} {message.type or 'message'} {message.message_id}{why}"
