"""Transaction: what becomes of a statement whose caller is cancelled at the moment at which the answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import aiopg
import pytest

from outbox.database import Transaction


class LosesCancellations:
    """A cursor that answers when its caller is cancelled, and forgets about that, as `asyncio.wait_for` may."""

    description = None

    def __init__(self) -> None:
        self.waits = asyncio.Event()

    async def execute(self, _statement: str, _parameters: Mapping[str, Any] | None) -> None:
        self.waits.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_a_cancellation_that_the_client_library_loses_ends_its_caller() -> None:
    cursor = LosesCancellations()
    task = asyncio.create_task(Transaction(cast("aiopg.Cursor", cursor)).run("SELECT 1"))
    await cursor.waits.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 20)


async def test_a_time_out_that_the_client_library_loses_is_a_time_out() -> None:
    cursor = LosesCancellations()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await Transaction(cast("aiopg.Cursor", cursor)).run("SELECT 1")
