"""Log records: none forges a line, and none hides what it says."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from mode.utils.logging import DEFAULT_COLOR_FORMAT, DEFAULT_FORMAT, DefaultFormatter, ExtensionFormatter

from app.telemetry.logs.records import log_safely

HOSTILE = "o-17\n[2026-01-01 00:00:00,000] [1] [INFO]: refunded\r\x1b[2K\u2028\u202e\U000e0041"
SHOWN = r"o-17\n[2026-01-01 00:00:00,000] [1] [INFO]: refunded\r\u001b[2K\u2028\u202e\udb40\udc41"


@pytest.fixture(autouse=True)
def _safe() -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    log_safely()
    yield
    logging.setLogRecordFactory(factory)


def written(log: logging.Logger, formatter: logging.Formatter) -> io.StringIO:
    """What the logger writes with this formatter."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    return stream


@pytest.fixture(
    params=[
        logging.Formatter("%(levelname)s %(message)s"),
        # Those of a worker.
        DefaultFormatter(DEFAULT_FORMAT),
        ExtensionFormatter(fmt=DEFAULT_COLOR_FORMAT, stream=io.StringIO()),
    ],
    ids=["plain", "file", "terminal"],
)
def log(request: pytest.FixtureRequest) -> tuple[logging.Logger, io.StringIO]:
    logger = logging.getLogger(f"innervate.test.{request.node.name}")
    return logger, written(logger, request.param)


def test_an_argument_cannot_begin_a_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning("event %s is refused", HOSTILE)
    assert stream.getvalue().count("\n") == 1
    assert f"event {SHOWN} is refused" in stream.getvalue()


def test_a_message_made_of_an_event_cannot_begin_a_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning(HOSTILE)
    assert (stream.getvalue().count("\n"), SHOWN in stream.getvalue()) == (1, True)


def test_named_arguments_cannot_either(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning("event %(id)s", {"id": HOSTILE})
    assert (stream.getvalue().count("\n"), f"event {SHOWN}" in stream.getvalue()) == (1, True)


def test_lines_of_a_traceback_are_marked_whatever_the_error_says(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.error("failed", exc_info=ValueError(HOSTILE))
    first, *traceback = stream.getvalue().rstrip("\n").split("\n")
    assert first.rstrip().endswith("failed")
    assert traceback == [
        "| ValueError: o-17",
        r"| [2026-01-01 00:00:00,000] [1] [INFO]: refunded\r\u001b[2K\u2028\u202e\udb40\udc41",
    ]


def test_a_record_made_by_hand_is_safe_too() -> None:
    error = ValueError("a\nb")
    record = logging.makeLogRecord({"msg": "x\ny %s", "args": ("\x1b",), "exc_info": (ValueError, error, None)})
    assert logging.Formatter().format(record).split("\n") == [r"x\ny \u001b", "| ValueError: a", "| b"]
