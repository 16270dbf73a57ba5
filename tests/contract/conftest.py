"""What the suites of the ports share: pools on a database that is made only where the real thing is examined."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from waiting import PATIENCE_SECONDS

from outbox.database import Database


@pytest.fixture
async def closing() -> AsyncIterator[AsyncExitStack]:
    """Closes at the end of the test what was opened in it."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def pool_of(closing: AsyncExitStack) -> Callable[[str], Database]:
    """The product's pool, by the address of its database."""

    def build(url: str) -> Database:
        pool = Database(url, timeout_seconds=PATIENCE_SECONDS)
        closing.push_async_callback(pool.close)
        return pool

    return build
