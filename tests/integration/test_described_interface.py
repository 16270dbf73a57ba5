"""The JSON interface does what its description says, whatever it is asked: requests are made up from the document."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, assume, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from app.composition import create_app
from app.settings import Settings
from outbox.records import DeadLetter, Hold, Origin
from outbox.writer import DecisionWriter

#: Made-up requests for each operation: the same ones every time.
MADE_UP = settings(
    max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
LONGEST_ADDRESS = 8000
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of a worker that is not started, in a thread of its own: the requests block."""
    loop = asyncio.new_event_loop()
    worker = Settings(_env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path)
    app = create_app(worker)

    async def start() -> TestServer:
        application: web.Application = await app.web.wsgi()
        running = TestServer(application)
        await running.start_server()
        return running

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    yield str(running.make_url("")).rstrip("/")
    asyncio.run_coroutine_threadsafe(running.close(), loop).result(60)
    asyncio.run_coroutine_threadsafe(app.runtime.database.close(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
async def _rows(writer: DecisionWriter, decision: Callable[..., Any]) -> None:
    """One of each thing that can be asked for."""
    origin = Origin(topic="payments", partition=3, offset=0, at=decision("pay-1").decided_at)
    await writer.record(decision("pay-1"))
    hold = Hold(reason="amount", expires_in=timedelta(days=1))
    await writer.record(decision("held-1", agent="recovery", status="held", hold=hold))
    await writer.bury(
        DeadLetter(
            consumer="router",
            reason="invalid_json",
            detail="value must be JSON",
            origin=origin,
            key=None,
            value=b"\xff\x00",
            headers=(("h", b"\xfe"),),
        )
    )


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_every_operation_answers_made_up_requests_as_it_is_described(
    server: str, mode: schemathesis.GenerationMode
) -> None:
    document = requests.get(f"{server}/openapi.json", timeout=60).json()
    asked: list[Any] = [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]  # type: ignore[union-attr]
    # What asks Kafka cannot be answered here.
    asked = [one for one in asked if not one.path.startswith(("/timelines", "/agents/{agent}", "/health/ready"))]

    if mode is schemathesis.GenerationMode.NEGATIVE:
        # What takes nothing cannot be asked wrongly.
        asked = [one for one in asked if one.body or any(one.iter_parameters())]
    for operation in asked:

        @MADE_UP
        @given(case=operation.as_strategy(mode))
        def ask(case: Any) -> None:
            address = requests.Request(**case.as_transport_kwargs(base_url=server)).prepare().url
            # A longer one is refused by the parser of HTTP, before anybody reads it.
            assume(len(address or "") < LONGEST_ADDRESS)
            case.call_and_validate(base_url=server, checks=CHECKS)

        ask()

    assert len(asked) > 10
