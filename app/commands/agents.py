"""Commands about agents: `shadows` compares them with their shadows, `rebuild` builds their windows anew.

What is not possible ends with exit code 1 and one line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from faust.cli import argument, option

from agents.model.text import escaped
from app.commands.terminal import LIMIT, Terminal, command, document, opened
from app.kafka.partitions import TopicsUnusable
from app.kafka.timelines import TimelineUnreadable
from app.settings import Settings
from app.worker.announcing import announced_rebuild
from app.worker.rebuild import CannotRebuild, RebuildSpoiled, RebuiltPartition, WindowRebuild
from app.worker.stream import AgentStream
from outbox.shadows import Agreement, Disagreement, agreements, disagreements
from tables.ring import RingCorrupt

_SHADOWS: Final = (
    "shadow", "decisions", "compared", "same outcome", "same messages", "agreement", "only live", "dead letters",
)  # fmt: skip


@command(option("--label", metavar="LABEL", help="Only shadows with this label."), LIMIT)
async def shadows(terminal: Terminal, settings: Settings, label: str | None, limit: int) -> None:
    """Compare shadows with the live agents: how often both decide the same, and the newest disagreements."""
    async with opened(settings.database_url) as database:
        found = await agreements(database, label)
        differing = {one.shadow: await disagreements(database, one.shadow, limit=limit) for one in found}
    if terminal.json:
        told = [{**dataclasses.asdict(one), "rate": one.rate, "disagreements": differing[one.shadow]} for one in found]
        terminal.say(document(told))
        return
    terminal.say(terminal.tabulate([_agreement(one) for one in found], headers=_SHADOWS, title="Shadows"))
    for one in found:
        for disagreement in differing[one.shadow]:
            terminal.say(_side_by_side(one, disagreement))


@command(
    argument("agent", metavar="AGENT"),
    option("--stopped", is_flag=True, help="No worker of the set runs, whatever Kafka says."),
)
async def rebuild(
    terminal: Terminal,
    settings: Settings,
    streams: Sequence[AgentStream],
    group: str,
    datadir: Path,
    *,
    agent: str,
    stopped: bool,
) -> None:
    """Build an agent's windows anew from the timeline; its workers must be stopped."""
    stream = next((stream for stream in streams if stream.agent.name == agent), None)
    if stream is None:
        raise SystemExit(f"innervate: the set {settings.agent_set} has no agent {escaped(agent)}")

    def tell(done: RebuiltPartition) -> None:
        terminal.say(
            f"partition {done.partition}: offsets {done.first} to {done.end}, {done.taken_over} entries taken over"
            f" from before; {done.written} written, {done.removed} removed"
        )

    rebuilding = WindowRebuild(settings, stream, group=group, datadir=datadir)
    try:
        async with announced_rebuild(settings, agent):
            rubbish = await rebuilding.run(tell, are_stopped=stopped)
    except CannotRebuild as error:
        raise SystemExit(f"innervate: {escaped(str(error))}") from error
    except (RebuildSpoiled, TopicsUnusable, TimelineUnreadable, RingCorrupt, KafkaError, OSError) as error:
        what = escaped(str(error))
        raise SystemExit(f"innervate: not finished, run it again before a worker starts: {what}") from error
    if rubbish is not None:
        terminal.say(escaped(f"{stream.changelog} was deleted and created again: {rubbish}"))
    terminal.say(f"the windows of {agent} are rebuilt")


def _agreement(one: Agreement) -> tuple[str, ...]:
    counts = (one.decisions, one.compared, one.same_outcome, one.same_messages)
    rate = "" if one.rate is None else f"{one.rate:.2%}"
    return (one.shadow, *map(str, counts), rate, str(one.only_live), str(one.dead_letters))


def _side_by_side(agreement: Agreement, one: Disagreement) -> str:
    notes = [
        *(["other messages"] if one.same_messages is False else []),
        *([] if one.same_history else ["it knew another history"]),
    ]
    sides = (("live", one.live), (agreement.label, one.shadow))
    event = f"{one.event_type} {one.event_id} of {one.event_source}"
    lines = [f"{agreement.shadow}: {event} about {one.entity} {one.entity_id}: {', '.join(notes)}"]
    lines += [f"  {who:10} {side.outcome} ({side.confidence:.2f}, {side.brain}): {side.reason}" for who, side in sides]
    return "\n".join(["", *map(escaped, lines)])
