"""`replay`: decides again what is in the log, and reports what would be decided otherwise.

It reads Kafka past every consumer group and PostgreSQL without writing. Exit code 0: no more differences than
permitted; 1: more, or the log or the database cannot be read; 2: wrong arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click
from aiokafka.errors import KafkaError
from faust.cli import option

from agents.brains.redaction import Redaction
from agents.model.text import escaped
from agents.replay.comparison import Kind
from agents.replay.deciders import Decider, RecordedDecider, RulesDecider
from app.commands.replay_arguments import MAX_TOKENS, Asked, Place, agents_of, describe, span_of
from app.commands.terminal import Terminal, command
from app.kafka.timelines import TimelineUnreadable, timeline_reader
from app.settings import Settings
from app.timemachine.model_decider import model_decider
from app.timemachine.recorded import RecordedDecisions
from app.timemachine.replay_log import Plan, replay_log, summary
from app.timemachine.report import write_html, write_json
from app.timemachine.state import ReplayState, StateUnusable, replay_state
from app.worker.code import deciding_code
from outbox.database import Database
from outbox.errors import DatabaseUnavailable

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@command(
    option("--agents", default="", metavar="A,B", help="Only these agents."),
    option("--agent", "versions", multiple=True, metavar="MODULE:NAME", help="Another version of an agent."),
    option("--entity", metavar="TYPE ID", type=(str, str), help="Such as `order o-17`."),
    option("--from", "since", type=Place(), help="Decide again from this time or offset on."),
    option("--to", "until", type=Place(), help="Decide again only before this time or offset."),
    option("--decide", default="recorded", show_default=True, type=click.Choice(["recorded", "rules", "model"])),
    option("--model", metavar="NAME", help="The language model to ask; LLM_MODEL if not given."),
    option("--max-tokens", default=MAX_TOKENS, show_default=True, type=click.IntRange(0)),
    option("--json", "json_file", metavar="FILE", type=_FILE, help="Write everything here."),
    option("--html", "html_file", metavar="FILE", type=_FILE, help="Write a page to read here."),
    option("--state", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Go on here later."),
    option("--max-changed", default=0, show_default=True, type=click.IntRange(0), help="Differences permitted."),
)
async def replay(
    terminal: Terminal,
    settings: Settings,
    *,
    agents: str,
    json_file: Path | None,
    html_file: Path | None,
    state: Path | None,
    max_changed: int,
    **rest: Any,
) -> None:
    """Decide again what is in the log, and compare with what was decided."""
    names = tuple(name.strip() for name in agents.split(",") if name.strip())
    async with _one_line():
        asked = Asked(agents=names, **rest)
        result = await run_replay(settings, asked, state=state, json_file=json_file, html_file=html_file)
    terminal.say(_totals(terminal, result))
    # Where nothing was compared nothing is shown to be the same.
    if not result["decisions"] or result["different"] > max_changed:
        raise SystemExit(1)


@asynccontextmanager
async def _one_line() -> AsyncIterator[None]:
    """Whatever can be expected to go wrong ends the command with one line."""
    try:
        yield
    except (ValueError, StateUnusable) as error:
        click.echo(f"innervate: {escaped(str(error))}", err=True)
        raise SystemExit(2) from error
    except DatabaseUnavailable as error:
        raise SystemExit(f"innervate: PostgreSQL: {escaped(str(error))}") from error
    except (TimelineUnreadable, KafkaError, OSError) as error:
        raise SystemExit(f"innervate: {escaped(str(error))}") from error


async def run_replay(
    settings: Settings,
    asked: Asked,
    *,
    state: Path | None = None,
    json_file: Path | None = None,
    html_file: Path | None = None,
) -> Mapping[str, Any]:
    """Replay what is asked for, with Kafka and PostgreSQL as in the settings; returns the summary of the report.

    Raises ValueError or `StateUnusable` for wrong arguments, else what Kafka, PostgreSQL and files raise.
    """
    agents, span = agents_of(asked, settings.catalogue), span_of(asked)
    for file in filter(None, (json_file, html_file)):
        if not file.parent.is_dir():
            raise ValueError(f"{file.parent} is no folder")
    described = describe(settings, asked, agents)
    async with _decider(settings, asked) as decider:
        plan = Plan(
            agents=agents,
            types=settings.catalogue.types,
            decider=decider,
            span=span,
            window_events=settings.window_events,
            only=await _where(settings, asked),
            concurrency=settings.llm_concurrency if asked.decide == "model" else 1,
            codes={agent.name: deciding_code(settings, agent) for agent in agents},
        )
        with replay_state(state, described) as kept:
            await _run(plan, kept, settings)
            result = summary(kept, described)
            if json_file is not None:
                await asyncio.to_thread(write_json, json_file, result, kept.differences())
            if html_file is not None:
                await asyncio.to_thread(write_html, html_file, result, kept.differences())
            return result


async def _run(plan: Plan, kept: ReplayState, settings: Settings) -> None:
    database = Database(settings.database_url)
    # The bar shows itself only where somebody is looking.
    with click.progressbar(length=0, label="replaying", file=click.get_text_stream("stderr")) as bar:

        def begin(offsets: int) -> None:
            bar.length = offsets

        try:
            await replay_log(
                plan,
                kept,
                timelines={entity: timeline_reader(settings, entity) for entity in plan.entities},
                decisions=RecordedDecisions(database, settings.catalogue.types),
                on_begin=begin,
                on_progress=bar.update,
            )
        finally:
            await database.close()


@asynccontextmanager
async def _decider(settings: Settings, asked: Asked) -> AsyncIterator[Decider]:
    if asked.decide == "model":
        model = asked.model or settings.llm_model
        async with model_decider(settings, model, max_tokens=asked.max_tokens) as decider:
            yield decider
    else:
        yield RulesDecider() if asked.decide == "rules" else RecordedDecider(Redaction(settings.llm_redact))


async def _where(settings: Settings, asked: Asked) -> tuple[str, int] | None:
    if asked.entity is None:
        return None
    entity, entity_id = asked.entity
    return entity, await timeline_reader(settings, entity).partition_of(entity_id)


def _totals(terminal: Terminal, result: Mapping[str, Any]) -> str:
    rows = [
        (agent, *(str(counts[kind]) for kind in Kind), str(counts["history"]["dropped"]), str(counts["code"]["other"]))
        for agent, counts in result["agents"].items()
    ]
    title = f"{result['decisions']} decisions compared, {result['different']} differ"
    return terminal.tabulate(rows, headers=("agent", *Kind, "history dropped", "by other code"), title=title)
