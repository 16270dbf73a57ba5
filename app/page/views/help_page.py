"""Help: what the words mean, what the keys do, where the same is for programs."""

from __future__ import annotations

from typing import Final

from app.page.help import HELP
from app.page.view import Shown, View, Visit


async def show(_visit: Visit) -> Shown:
    """Everything that is said beside states, in one place."""
    return Shown(template="help.html", context={"topics": HELP.values()})


VIEW: Final = View(path="/ui/help", title="Help", answer=show)
