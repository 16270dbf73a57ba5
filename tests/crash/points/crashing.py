# ruff: noqa: SLF001 - the seams of Faust and aiokafka are private
"""A worker that kills or freezes itself at a chosen point: `faust -A crashing … worker`, with this folder on the path.

The product has no hooks for this; its seams are wrapped from outside. `CRASH_POINT=name:n` sends the process
`CRASH_SIGNAL` at the n-th passing of that point: SIGKILL, as a power cut would, or SIGSTOP, as a machine that is
suspended. `CRASH_ORDER` names a file: once it is there and holds the name of a point, the next passing of that point
takes it away and stops the process. What it does it prints on SIGQUIT (`stacks`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from aiokafka.consumer.group_coordinator import GroupCoordinator
from stacks import print_on_sigquit

from app.composition import create_app
from app.settings import load_settings
from outbox.database import Database, Transaction
from outbox.fenced import FencedPublisher
from outbox.publisher import Publisher
from tables.changelog import Changelog
from tables.recovery import WindowRecovery
from tables.table import WindowTable

_point, _, _passing = os.environ.get("CRASH_POINT", "").partition(":")
_left = {_point: int(_passing or 1)}
_signal = signal.Signals[os.environ.get("CRASH_SIGNAL", "SIGKILL")]
#: What the first statement of an effect of some domain that is decided by an agent itself writes to.
EFFECTS = ("INSERT INTO refunds", "INSERT INTO quarantines")
#: How late a worker that was frozen in a recovery hears from Kafka that it was left out, in seconds.
DEAF_SECONDS = 5.0
_order = os.environ.get("CRASH_ORDER")


def passing(point: str) -> bool:
    """End or stop here and now, if this is the chosen point and its turn; true for one that wakes up again."""
    is_ordered = _is_ordered(point)
    if is_ordered:
        os.kill(os.getpid(), signal.SIGSTOP)
    if point in _left:
        _left[point] -= 1
        if _left[point] == 0:
            os.kill(os.getpid(), _signal)
            return True
    return is_ordered


def _is_ordered(point: str) -> bool:
    if _order is None:
        return False
    order = Path(_order)
    try:
        ordered = order.read_text() == point
    except FileNotFoundError:
        return False
    if ordered:
        order.unlink()
    return ordered


def _around_folds(fold: Callable[..., Any], send: Callable[..., Any]) -> None:
    def folding(self: WindowTable, *args: Any, **kwargs: Any) -> Any:
        passing("before_fold")
        return fold(self, *args, **kwargs)

    def sending(self: Changelog, *args: Any, **kwargs: Any) -> Any:
        # The write to RocksDB is done, and this is the first the changelog hears of it.
        passing("after_put")
        sent = send(self, *args, **kwargs)
        sent.add_done_callback(lambda _: passing("after_changelog"))
        return sent

    WindowTable.fold = folding  # type: ignore[method-assign]
    Changelog.send = sending  # type: ignore[method-assign]


def _around_statements(run: Callable[..., Awaitable[Sequence[Any]]]) -> None:
    async def running(self: Database, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        decides = "INSERT INTO decisions" in statement
        if decides:
            passing("before_commit")
        rows = await run(self, statement, parameters)
        if decides:
            # Committed, and nobody but PostgreSQL knows.
            passing("after_commit")
        if "UPDATE outbox_lanes" in statement and rows:
            passing("mid_lease")
        return rows

    Database.run = running  # type: ignore[method-assign]


def _around_effects(run: Callable[..., Awaitable[Sequence[Any]]]) -> None:
    #: Transactions in which decisions, and in which effects were written; others only settle what is there.
    deciding: WeakSet[Transaction] = WeakSet()
    with_effects: WeakSet[Transaction] = WeakSet()

    async def running(self: Transaction, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        # Decisions with effects, and those that expect something, are written by more than one statement, with those
        # that wait beside them: in a worker that is far behind these may be all but the first.
        if "INSERT INTO decisions" in statement:
            deciding.add(self)
            passing("before_commit")
        if statement == "COMMIT" and self in with_effects:
            passing("before_effect_commit")
        rows = await run(self, statement, parameters)
        if any(table in statement for table in EFFECTS):
            with_effects.add(self)
            passing("mid_effect")
        if statement == "COMMIT" and self in deciding:
            passing("after_commit")
        if statement == "COMMIT" and self in with_effects:
            passing("after_effect_commit")
        return rows

    Transaction.run = running  # type: ignore[method-assign]


def _around_publishing(publisher: type[Publisher | FencedPublisher]) -> None:
    publish_lane = publisher.publish_lane

    async def publishing(self: Any, lane: int, epoch: int, batch: Mapping[int, Any]) -> Any:
        outcomes = await publish_lane(self, lane, epoch, batch)
        if any(outcome is None for outcome in outcomes.values()):
            # Kafka has it, the outbox does not know yet.
            passing("after_publish")
        return outcomes

    publisher.publish_lane = publishing  # type: ignore[method-assign,assignment]


def _around_recovery(
    build_highwaters: Callable[..., Awaitable[None]], do_heartbeat: Callable[..., Awaitable[bool]]
) -> None:
    woken: list[bool] = []

    async def building(self: WindowRecovery, *args: Any) -> None:
        await build_highwaters(self, *args)
        # It is known how far the changelogs go; nothing was read from them, and no stream was begun.
        if passing("in_recovery"):
            woken.append(True)

    async def beating(self: GroupCoordinator) -> bool:
        # Kafka's word that others have taken over reaches it late, all else at once.
        if woken and self.group_id == app.conf.id:
            woken.clear()
            await asyncio.sleep(DEAF_SECONDS)
        return await do_heartbeat(self)

    WindowRecovery._build_highwaters = building  # type: ignore[method-assign,assignment]
    GroupCoordinator._do_heartbeat = beating


_around_folds(WindowTable.fold, Changelog.send)
_around_recovery(WindowRecovery._build_highwaters, GroupCoordinator._do_heartbeat)
_around_statements(Database.run)
_around_effects(Transaction.run)
_around_publishing(Publisher)
_around_publishing(FencedPublisher)
print_on_sigquit()

app = create_app(load_settings(sys.argv[1:]))
