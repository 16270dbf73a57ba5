"""Logs: no record forges a line, whoever logs it and whatever an event, a request or an error message holds.

A record is one line: what cannot be seen in its message is escaped. A traceback follows on lines that begin with `| `,
which no record does. This holds for every logger and handler of the process, Faust's and libraries' included.
"""

from __future__ import annotations

import logging
from typing import Final

from agents.model.text import escaped

#: Begins every line of a traceback.
TRACEBACK_MARK: Final = "| "


class SafeRecord(logging.LogRecord):
    """A record whose message and traceback are escaped when a formatter asks for them."""

    _traceback: str | None = None

    def getMessage(self) -> str:  # noqa: N802 - the name is the standard library's
        """The message with its arguments, in one line."""
        return escaped(super().getMessage())

    @property
    def exc_text(self) -> str | None:
        """The traceback, each line of it marked; the first formatter keeps it here for all others."""
        return self._traceback

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._traceback = text and "\n".join(TRACEBACK_MARK + escaped(line) for line in text.split("\n"))


def log_safely() -> None:
    """Make all records of this process safe from now on."""
    logging.setLogRecordFactory(SafeRecord)
