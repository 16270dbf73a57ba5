"""A worker that is told to stop while it prepares its services stops; one that cannot use them says why."""

from __future__ import annotations

import pytest
from mode import Service

from app.worker.runtime import Runtime
from outbox.errors import DatabaseUnavailable


class Preparing(Runtime):
    """One whose connections are closed while it prepares; nothing else of it is there."""

    def __init__(self, *, told_to_stop: bool) -> None:
        Service.__init__(self)
        self._told_to_stop = told_to_stop

    async def _prepare(self) -> None:
        if self._told_to_stop:
            self._stopped.set()
        raise DatabaseUnavailable("the connections are closed")


async def test_one_that_is_told_to_stop_while_it_starts_is_no_failure_and_starts_nothing() -> None:
    await Preparing(told_to_stop=True).on_start()


async def test_one_that_cannot_use_its_services_says_why() -> None:
    with pytest.raises(SystemExit, match="innervate: the connections are closed"):
        await Preparing(told_to_stop=False).on_start()
