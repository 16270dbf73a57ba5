"""Formatting: a record as one line, for people or for programs; whoever logs it, by structlog or the standard library.

An event and its fields: `extra={"agent": …}` of the standard library, keyword arguments of structlog. For people a line
is what Faust writes, with the fields behind it; for programs it is a JSON object. A level, a file and where it goes are
Faust's (`worker -l`, `-f`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from agents.model.text import escaped
from app.telemetry.logs.floods import VERDICT
from app.telemetry.logs.records import TRACEBACK_MARK, SafeRecord

LogFormat = Literal["console", "json"]

#: What every record has; anything else is a field of its event.
_USUAL: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "exc_text",
    VERDICT,
    "_traceback",
}
#: Colours of a terminal by level.
_COLOURS: Final[Mapping[int, str]] = MappingProxyType(
    {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}
)
_PLAIN: Final = "\x1b[0m"


class LineFormatter(logging.Formatter):
    """Writes a record as Faust does, with its fields behind it; its traceback on lines of its own."""

    def __init__(self, *, is_coloured: bool = False) -> None:
        super().__init__()
        self._is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines."""
        shown = " ".join([record.getMessage(), *(f"{name}={_short(value)}" for name, value in _fields(record).items())])
        if self._is_coloured and record.levelno in _COLOURS:
            shown = f"{_COLOURS[record.levelno]}{shown}{_PLAIN}"
        line = f"[{self.formatTime(record)}] [{record.process}] [{record.levelname}] {shown}"
        return "\n".join(filter(None, [line, _traceback(self, record)]))


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object in ASCII: `at` (RFC 3339, UTC), `level`, `logger`, `event`, its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The object, in one line."""
        document: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            "process": record.process,
        }
        # None of them takes the place of what every line has.
        document |= {name: value for name, value in _fields(record).items() if name not in document}
        if told := _traceback(self, record):
            document["exception"] = "\n".join(line.removeprefix(TRACEBACK_MARK) for line in told.split("\n"))
        return json.dumps(document, ensure_ascii=True, allow_nan=True)


def formatter(log_format: LogFormat, *, is_terminal: bool = False) -> logging.Formatter:
    """What writes every record of the process."""
    return JsonFormatter() if log_format == "json" else LineFormatter(is_coloured=is_terminal)


def write_by(log_format: LogFormat, logged: logging.Filter | None = None) -> None:
    """Have the root logger's handlers write so, and structlog through them; once logging is configured.

    `logged` may add to each record what it was logged in.
    """
    import structlog  # noqa: PLC0415 - nothing but a worker needs it; it loads rich where that is there

    for handler in logging.getLogger().handlers:
        stream = getattr(handler, "stream", None)
        handler.setFormatter(formatter(log_format, is_terminal=stream is not None and stream.isatty()))
        if logged is not None:
            handler.addFilter(logged)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.render_to_log_kwargs,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    """What was logged besides the message, safe to show."""
    field = SafeRecord.redaction.field
    return {name: field(name, value) for name, value in record.__dict__.items() if name not in _USUAL}


def _short(value: object) -> str:
    """A value on a line: as it is where that is one word, else as JSON."""
    if isinstance(value, str) and value and not set(value) & set(" =\"'"):
        return escaped(value)
    return escaped(json.dumps(value, ensure_ascii=False))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    return record.exc_text
