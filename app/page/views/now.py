"""Now: in a sentence, whether anything is stuck, needs a person, or fails; then what was decided last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.page.view import Shown, View, Visit
from app.reads.now import COUNTED, Now, now
from app.reads.workers import WorkersQuery, workers
from app.worker.readiness import OK
from outbox.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that somebody should know."""

    kind: Literal["bad", "wait"]
    #: A sentence; what it leads to.
    says: str
    href: str


async def show(visit: Visit) -> Shown:
    """What is going on."""
    database = visit.parts.database
    try:
        current = await now(database)
        stuck = (await workers(database, WorkersQuery(limit=1))).stuck
    except DatabaseUnavailable as error:
        stuck = [f"{name}: {check}" for name, check in visit.parts.checks().items() if check != OK]
        context = {"matters": matters(stuck, None), "current": None, "away": str(error)}
        return Shown(template="now.html", context=context)
    return Shown(template="now.html", context={"matters": matters(stuck, current), "current": current, "away": None})


def matters(stuck: Iterable[str], current: Now | None) -> Sequence[Matter]:
    """What is stuck, then what needs a person, then what failed. Empty when all is well."""
    found = [Matter("bad", sentence, "/ui/workers") for sentence in stuck]
    if current is None:
        return found
    if current.waiting:
        needs = "decision needs" if current.waiting == 1 else "decisions need"
        found.append(Matter("wait", f"{counted(current.waiting)} {needs} a person", "/ui/approvals"))
    if current.dead_letters:
        noun = "event" if current.dead_letters == 1 else "events"
        found.append(
            Matter("bad", f"{counted(current.dead_letters)} {noun} could not be processed", "/ui/dead-letters")
        )
    if current.buried:
        noun = "message" if current.buried == 1 else "messages"
        found.append(Matter("bad", f"Kafka refused {counted(current.buried)} {noun} for good", "/ui/outbox"))
    return found


def counted(number: int) -> str:
    """A count that ends at a bound."""
    return f"more than {COUNTED:,}" if number > COUNTED else f"{number:,}"


VIEW: Final = View(path="/ui/", title="Now", answer=show, in_navigation=True)
