"""Error pages: what went wrong, for people, with the next step.

The web server asks for one where a browser is to read the answer (`app.web.negotiation`); programs get the same as
JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: By status: what happened, and what to do now.
_SAID: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        400: ("This address asks for something that cannot be", "A filter or an id in it is not of the form expected."),
        401: ("Sign in first", "What you asked for needs to know who you are."),
        403: ("You may not do this", "Your role does not reach that far, or the worker only shows (read-only)."),
        404: ("There is nothing here", "It may never have been there; search for it by any id you have."),
        405: ("This cannot be asked that way", "Open it from the page that leads to it."),
        408: ("The request did not come in time", "Try again."),
        409: ("Somebody was faster, or it has changed", "Open it again and look at what it is now."),
        422: ("Something in the form is missing or wrong", "Go back, mend it, and send it again."),
        500: ("This worker has made a mistake", "Its log has the traceback. What it decides is not touched by that."),
        502: ("The worker that owns this did not answer", "Partitions may be moving; try again in a few seconds."),
        503: ("A part this needs is away", "It comes back by itself; nothing is lost meanwhile. Try again."),
        504: ("This took too long", "Ask for less, or use the command of the same name: it takes the time it needs."),
    }
)
_OTHER: Final = ("This did not work", "Try again, or look at the worker's log.")


def said(status: int) -> tuple[str, str]:
    """The headline of an error's page, and what to do."""
    return _SAID.get(status, _OTHER)
