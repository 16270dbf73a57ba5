"""Commands that repair: `outbox`, `dead-letters`, `rebuild`; and `shadows`, which looks.

They talk to PostgreSQL, `rebuild` to Kafka; a worker publishes what is put into the outbox within a second or so. What
is not possible ends with exit code 1 and one line.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from aiokafka.errors import KafkaError
from faust.cli import AppCommand, argument, option
from pydantic import ValidationError

from agents.model.text import escaped
from app.commands.approvals import BY
from app.kafka.timelines import TimelineUnreadable
from app.kafka.topics import TopicsUnusable
from app.operators.approvals import SignedForm, document, expected
from app.worker.rebuild import CannotRebuild, RebuildSpoiled, RebuiltPartition, WindowRebuild
from outbox.buried import buried, redrive_buried
from outbox.database import Database, queries
from outbox.errors import DatabaseUnavailable, StatementRejected
from outbox.redrives import AlreadyRedriven, NotRedriven, Redrives
from outbox.shadows import Agreement, Disagreement, agreements, disagreements
from tables.ring import RingCorrupt

if TYPE_CHECKING:
    from app.worker.application import Innervate

_VIEWS_SQL: Final = queries("views.sql")

_LETTERS: Final = ("id", "consumer", "reason", "detail", "from", "died", "redriven")
_SHADOWS: Final = (
    "shadow", "decisions", "compared", "same outcome", "same messages", "agreement", "only live", "dead letters",
)  # fmt: skip
_LIMIT: Final = option("--limit", default=50, type=click.IntRange(1, 500), help="How many at most.")


def register_repair_commands(app: Innervate) -> None:
    """Add the commands to Faust's own."""
    _register_outbox(app)
    _register_dead_letters(app)
    _register_shadows(app)

    @app.command(
        argument("agent", metavar="AGENT"),
        option("--stopped", is_flag=True, help="No worker of the set runs, whatever Kafka says."),
    )
    async def rebuild(self: AppCommand, agent: str, stopped: bool) -> None:
        """Build an agent's windows anew from the timeline; its workers must be stopped."""
        stream = next((stream for stream in app.agent_streams if stream.agent.name == agent), None)
        if stream is None:
            raise SystemExit(f"innervate: the set {app.settings.agent_set} has no agent {escaped(agent)}")

        def tell(done: RebuiltPartition) -> None:
            self.say(
                f"partition {done.partition}: offsets {done.first} to {done.end}, {done.taken_over} entries taken over"
                f" from before; {done.written} written, {done.removed} removed"
            )

        try:
            rubbish = await WindowRebuild(app.settings, stream, group=app.conf.id, datadir=Path(app.conf.datadir)).run(
                tell, are_stopped=stopped
            )
        except CannotRebuild as error:
            raise SystemExit(f"innervate: {escaped(str(error))}") from error
        except (RebuildSpoiled, TopicsUnusable, TimelineUnreadable, RingCorrupt, KafkaError, OSError) as error:
            what = escaped(str(error))
            raise SystemExit(f"innervate: not finished, run it again before a worker starts: {what}") from error
        if rubbish is not None:
            self.say(escaped(f"{stream.changelog} was deleted and created again: {rubbish}"))
        self.say(f"the windows of {agent} are rebuilt")


def _register_outbox(app: Innervate) -> None:
    @app.command(
        option("--redrive-all", "--retry-dead", is_flag=True, help="Put all buried messages back into the outbox."),
        option("--redrive", "--retry", type=click.IntRange(0, 2**63 - 1), metavar="SEQ", help="Put one of them back."),
    )
    async def outbox(self: AppCommand, redrive_all: bool, redrive: int | None) -> None:
        """List the messages Kafka refused for good, or put them back."""
        async with _database(app) as database:
            if redrive is not None:
                if not await redrive_buried(database, redrive):
                    raise SystemExit(f"innervate: no buried message {redrive}")
                self.say("the message is pending again")
            elif redrive_all:
                self.say(f"{len(await redrive_buried(database))} messages are pending again")
            else:
                rows = [tuple(map(escaped, map(str, row))) for row in await buried(database)]
                self.say(self.tabulate(rows, headers=("seq", "message", "topic", "reason"), title="Buried messages"))


def _register_dead_letters(app: Innervate) -> None:
    # Click makes a hyphen of the underscore.
    @app.command(
        option("--consumer", metavar="NAME", help="Only those of the router, or of an agent."),
        option("--reason", metavar="WORD", help="Only those with this reason."),
        _LIMIT,
        option("--redrive", "--replay", type=click.UUID, metavar="ID", help="Put one back where it came from."),
        option("--redrive-all", "--replay-all", is_flag=True, help="Put all of a consumer back that were not yet."),
        BY,
    )
    async def dead_letters(
        self: AppCommand,
        *,
        consumer: str | None,
        reason: str | None,
        limit: int,
        redrive: uuid.UUID | None,
        redrive_all: bool,
        by: str,
    ) -> None:
        """List what could not be processed, the newest first, or put it back."""
        async with _database(app) as database:
            # The relay of a worker looks by itself; there is nobody here to be told.
            redrives = Redrives(database, on_commit=lambda _lanes: None)
            if redrive is not None:
                letter = await redrives.redrive(redrive, by=_name(by))
                self.say(f"on its way back to {letter.topic}")
            elif redrive_all:
                if consumer is None:
                    raise SystemExit("innervate: --redrive-all needs --consumer: whose dead letters?")
                done = await _redrive_all(redrives, consumer, reason, _name(by))
                self.say(f"{done} dead letters are on their way back")
            else:
                parameters = {"consumer": consumer, "reason": reason, "before": None, "limit": limit}
                rows = [_letter(row) for row in await database.run(_VIEWS_SQL["dead_letters"], parameters)]
                self.say(self.tabulate(rows, headers=_LETTERS, title="Dead letters"))


def _register_shadows(app: Innervate) -> None:
    @app.command(option("--label", metavar="LABEL", help="Only shadows with this label."), _LIMIT)
    async def shadows(self: AppCommand, label: str | None, limit: int) -> None:
        """Compare shadows with the live agents: how often both decide the same, and the newest disagreements."""
        async with _database(app) as database:
            found = await agreements(database, label)
            differing = {one.shadow: await disagreements(database, one.shadow, limit=limit) for one in found}
        if self.json:
            told = [
                {**dataclasses.asdict(one), "rate": one.rate, "disagreements": differing[one.shadow]} for one in found
            ]
            self.say(document(told))
            return
        self.say(self.tabulate([_agreement(one) for one in found], headers=_SHADOWS, title="Shadows"))
        for one in found:
            for disagreement in differing[one.shadow]:
                self.say(_side_by_side(one, disagreement))


@asynccontextmanager
async def _database(app: Innervate) -> AsyncIterator[Database]:
    database = Database(app.settings.database_url)
    try:
        yield database
    except DatabaseUnavailable as error:
        raise SystemExit(f"innervate: PostgreSQL: {escaped(str(error))}") from error
    except (NotRedriven, StatementRejected) as error:
        raise SystemExit(f"innervate: {escaped(str(error))}") from error
    finally:
        await database.close()


async def _redrive_all(redrives: Redrives, consumer: str, reason: str | None, by: str) -> int:
    done = 0
    async for letter_id in redrives.redrivable(consumer, reason):
        # Whoever else redrives them meanwhile does no harm.
        with suppress(AlreadyRedriven):
            await redrives.redrive(letter_id, by=by)
            done += 1
    return done


def _name(by: str) -> str:
    try:
        return SignedForm(by=by).by
    except ValidationError as error:
        raise SystemExit(f"innervate: {expected(error)}") from error


def _letter(row: Any) -> tuple[str, ...]:
    letter_id, consumer, reason, detail, topic, partition, offset, _, died_at, _, replayed_at, replayed_by, _ = row
    replayed = "" if replayed_at is None else f"{replayed_at.isoformat(timespec='seconds')} by {replayed_by}"
    place = f"{topic}[{partition}]@{offset}"
    return tuple(
        map(escaped, (letter_id, consumer, reason, detail, place, died_at.isoformat(timespec="seconds"), replayed))
    )


def _agreement(one: Agreement) -> tuple[str, ...]:
    counts = (one.decisions, one.compared, one.same_outcome, one.same_messages)
    rate = "" if one.rate is None else f"{one.rate:.2%}"
    return (one.shadow, *map(str, counts), rate, str(one.only_live), str(one.dead_letters))


def _side_by_side(agreement: Agreement, one: Disagreement) -> str:
    notes = [
        *([] if one.same_messages else ["other messages"]),
        *([] if one.same_history else ["it knew another history"]),
    ]
    sides = (("live", one.live), (agreement.label, one.shadow))
    event = f"{one.event_type} {one.event_id} of {one.event_source}"
    lines = [f"{agreement.shadow}: {event} about {one.entity} {one.entity_id}: {', '.join(notes)}"]
    lines += [f"  {who:10} {side.outcome} ({side.confidence:.2f}, {side.brain}): {side.reason}" for who, side in sides]
    return "\n".join(["", *map(escaped, lines)])
