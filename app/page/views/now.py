"""Now: in a sentence, whether anything is stuck, needs a person, or fails; then what was decided last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.page.view import Shown, View, Visit
from app.reads.now import COUNTED, Now, now
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
    try:
        current = await now(visit.parts.database)
    except DatabaseUnavailable as error:
        return Shown(template="now.html", context={"matters": [], "current": None, "away": str(error)})
    return Shown(template="now.html", context={"matters": matters(current), "current": current, "away": None})


def matters(current: Now) -> Sequence[Matter]:
    """What needs a person, then what failed. Empty when all is well."""
    found: list[Matter] = []
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
