"""Records: none forges a line or gives a secret away, whoever logs it and whatever an event, a request or an error has.

A record is one line: what cannot be seen in its message is escaped. A traceback follows on lines that begin with `| `,
which no record does. What is secret is hidden (`app.telemetry.logs.redaction`). This holds for every logger and handler
of the process, Faust's and libraries' included, and before logging is configured.

Of an exception on an event (a record with a field of `ABOUT_AN_EVENT`) a traceback has the places and the types; what
it says may quote the event, and is left out unless it is an error of our own.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Iterator
from typing import ClassVar, Final

from agents.model.text import escaped
from app.telemetry.logs.redaction import NOT_SHOWN, Redaction
from tables.errors import InnervateError

#: Begins every line of a traceback.
TRACEBACK_MARK: Final = "| "
#: Fields of a record that name an event.
ABOUT_AN_EVENT: Final = frozenset(["event_id", "offset"])
#: Causes of causes that a traceback of ours goes back to.
_CAUSES: Final = 10


class SafeRecord(logging.LogRecord):
    """A record whose message and traceback are made safe when a formatter asks for them."""

    redaction: ClassVar[Redaction] = Redaction()
    _traceback: str | None = None

    def getMessage(self) -> str:  # noqa: N802 - the name is the standard library's
        """The message with its arguments, in one line."""
        return escaped(self.redaction.text(super().getMessage()))

    @property
    def exc_text(self) -> str | None:
        """The traceback, each line of it marked; the first formatter keeps it here for all others."""
        return self._traceback

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        if text and self.exc_info and self.exc_info[1] is not None and self._quotes_an_event:
            text = "\n".join(_without_texts(self.exc_info[1]))
        lines = self.redaction.text(text).split("\n") if text else ()
        self._traceback = "\n".join([TRACEBACK_MARK + escaped(line) for line in lines]) or None

    @property
    def _quotes_an_event(self) -> bool:
        return not self.redaction.shows_payloads and not ABOUT_AN_EVENT.isdisjoint(self.__dict__)


def log_safely(secrets: Collection[str] = (), *, shows_payloads: bool = False) -> None:
    """Make all records of this process safe from now on, and hide these secrets."""
    SafeRecord.redaction = Redaction(secrets, shows_payloads=shows_payloads)
    logging.setLogRecordFactory(SafeRecord)


def _without_texts(error: BaseException) -> Iterator[str]:
    """Where an exception comes from, its causes first, without what those say that others have made."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain and len(chain) < _CAUSES:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for each in reversed(chain):
        yield from "".join(traceback.format_tb(each.__traceback__)).splitlines()
        said = str(each) if isinstance(each, InnervateError) else NOT_SHOWN
        yield f"{type(each).__qualname__}: {said}"
