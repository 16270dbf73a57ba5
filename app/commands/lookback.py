"""Commands that look back: `knew`, `window`, `record`.

They read Kafka and PostgreSQL and change nothing. What is not possible ends with exit code 1 and one line.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from faust.cli import argument, option

from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.text import escaped
from app.commands.terminal import Terminal, command, opened, pretty
from app.kafka.timelines import timeline_reader
from app.settings import Settings
from app.timemachine.knowledge import Knowledge, as_json, knowledge_of, line
from app.timemachine.lookback import DEFAULT_EVENTS, MAX_EVENTS, Lookback, look_back, lookback_json
from app.timemachine.pseudonyms import redacted
from app.timemachine.recorded import RecordedDecisions
from app.timemachine.recording import Recorder, SliceTooLarge
from app.timemachine.slices import SliceHeader, dump

_JSON: Final = option("--json", "as_document", is_flag=True, help="Print JSON.")


class Instant(click.ParamType):
    """A time with its zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read RFC 3339; a time without a zone is nobody's."""
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail("expected a time such as 2024-05-01T12:00:00Z", param, ctx)
        if time.tzinfo is None:
            self.fail("the time needs a zone, such as Z", param, ctx)
        return time


def _names(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _require_entity(catalogue: Catalogue, entity: str) -> None:
    click.Choice(list(catalogue.entities)).convert(entity, None, None)


def _known_agents(catalogue: Catalogue, names: Sequence[str]) -> Sequence[Agent]:
    if unknown := [name for name in names if name not in catalogue.agents]:
        raise click.BadParameter(f"no agent is called {escaped(unknown[0])}: {', '.join(catalogue.agents)}")
    return [catalogue.agents[name] for name in names or catalogue.agents]


@command(argument("decision_id", metavar="DECISION_ID", type=click.UUID), _JSON)
async def knew(terminal: Terminal, settings: Settings, decision_id: uuid.UUID, *, as_document: bool) -> None:
    """Show what an agent knew when it decided, and whether Kafka still has it as it was."""
    async with _recorded(settings) as decisions:
        decision = await decisions.of(decision_id)
        if decision is None:
            raise SystemExit(f"innervate: there is no decision {decision_id}")
        entity = decision.topic.removeprefix("timeline-")
        knowledge = await knowledge_of(decision, timeline_reader(settings, entity))
    terminal.say(pretty(as_json(knowledge)) if as_document or terminal.json else _known(knowledge))


@command(
    argument("entity"),
    argument("entity_id"),
    option("--before", metavar="EVENT_ID", help="Look back from this event; from the end of the log without it."),
    option("--source", help="The source of that event, where several have its id."),
    option("--events", default=DEFAULT_EVENTS, show_default=True, type=click.IntRange(1, MAX_EVENTS)),
    _JSON,
)
async def window(
    terminal: Terminal,
    settings: Settings,
    *,
    entity: str,
    entity_id: str,
    before: str | None,
    source: str | None,
    events: int,
    as_document: bool,
) -> None:
    """Show the last events of one entity, of every type, oldest first."""
    _require_entity(settings.catalogue, entity)
    async with _recorded(settings) as decisions:
        reader = timeline_reader(settings, entity)
        found = await look_back(reader, decisions, entity, entity_id, before=before, source=source, events=events)
    terminal.say(pretty(lookback_json(found)) if as_document or terminal.json else _looked_back(found))


@command(
    option("--out", required=True, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path)),
    option("--entity", metavar="TYPE ID", type=(str, str), help="Only this entity, such as `order o-17`."),
    option("--from", "since", type=Instant(), help="Decisions on records from this time on are meant."),
    option("--to", "until", type=Instant(), help="Leave out records from this time on."),
    option("--agents", default="", callback=_names, metavar="A,B", help="Only these agents."),
    option("--redact", default="", callback=_names, metavar="FIELD,FIELD", help="Replace what these fields say."),
)
async def record(
    terminal: Terminal,
    settings: Settings,
    *,
    out: Path,
    entity: tuple[str, str] | None,
    since: datetime | None,
    until: datetime | None,
    agents: tuple[str, ...],
    redact: tuple[str, ...],
) -> None:
    """Write a slice of the log and its decisions to a file, to replay it without Kafka and PostgreSQL."""
    chosen = _known_agents(settings.catalogue, agents)
    if entity is not None:
        _require_entity(settings.catalogue, entity[0])
    header = SliceHeader(
        agents=tuple(agent.name for agent in chosen),
        entity=entity,
        since=since,
        until=until,
        window_events=settings.window_events,
        llm_redact=tuple(settings.llm_redact),
    )
    async with _recorded(settings) as decisions:
        cut = await Recorder(
            reader_of=lambda kind: timeline_reader(settings, kind),
            decisions=decisions,
            agents=chosen,
            header=header,
        ).record()
        if redact:
            cut = redacted(cut, redact, settings.catalogue.entities.values())
        await asyncio.to_thread(dump, cut, out)
    terminal.say(f"{out}: {len(cut.records)} records, {len(cut.decisions)} decisions")


@asynccontextmanager
async def _recorded(settings: Settings) -> AsyncIterator[RecordedDecisions]:
    async with opened(settings.database_url) as database:
        try:
            yield RecordedDecisions(database, settings.catalogue.types)
        except SliceTooLarge as error:
            raise SystemExit(f"innervate: {error}") from error


def _known(knowledge: Knowledge) -> str:
    decision = knowledge.decision
    decided = f"{decision.agent} decided {decision.outcome} ({decision.confidence:.2f}) by {decision.brain}"
    place = f"{decision.topic}[{decision.partition}]@{decision.offset}"
    event = f"{place}: Kafka no longer has the event decided on" if knowledge.event is None else line(knowledge.event)
    return "\n".join(
        [
            escaped(f"{decided}: {decision.reason}"),
            escaped(f"on {decision.event_id} at {place}, from {decision.event_source}"),
            "",
            "It knew, oldest first:" if knowledge.history else "It knew nothing of this entity.",
            *map(line, knowledge.history),
            "",
            "and decided on:",
            event,
            "",
            knowledge.sentence,
        ]
    )


def _looked_back(found: Lookback) -> str:
    whose = f"{found.entity} {escaped(found.entity_id)}"
    if not found.events:
        return f"Kafka has no events of {whose}" + ("" if found.before is None else " before this one")
    lines = [f"The last {len(found.events)} events of {whose}, oldest first:", *map(line, found.events)]
    if found.before is not None:
        lines += ["", "before", line(found.before)]
    return "\n".join(lines)
