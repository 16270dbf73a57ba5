"""Gathering: while a few records come at a time, a broker answers a fetch only when some more are there.

Each fetch asks for every partition and tells of each, which costs more than all that is done with one record; and one
that waits is answered with the first record that comes, so those behind it need another. So the fetch behind one that
brought a few is answered after `GATHER_MS`, or as soon as there is much. A record behind none waits for nothing.
Nothing waits here: what comes meanwhile is in the broker, and the fetch is under way.

aiokafka asks alike for everything, as its options say; so what its fetcher is about to ask for is set beside it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

#: Fewer records than this of a fetch are a few (own choice).
FEW_RECORDS: Final = 50
#: How long a broker gathers, in milliseconds, and what is much, in bytes (own choices).
GATHER_MS: Final = 20
GATHERED_BYTES: Final = 64 * 1024


class Gathering:
    """Tells a consumer of aiokafka's to have its broker gather. It may be started later."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        #: What is asked for as ever: the longest wait in milliseconds, and the least bytes.
        self._usual: tuple[int, int] | None = None

    def fetched(self, records: int) -> None:
        """A fetch brought so many records; to be called as soon as they are taken, before anything is awaited."""
        if not 0 < records < FEW_RECORDS:
            return
        fetcher = self._consumer._fetcher  # noqa: SLF001
        if self._usual is None:
            self._usual = fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes  # noqa: SLF001
        self._ask(GATHER_MS, GATHERED_BYTES)
        # The next fetch is asked for at once, since everything was taken; the one after it as ever.
        asyncio.get_running_loop().call_later(GATHER_MS / 2000, self._ask, *self._usual)

    def _ask(self, max_wait_ms: int, least_bytes: int) -> None:
        fetcher = self._consumer._fetcher  # noqa: SLF001
        if fetcher is not None:  # as it is when the consumer has been stopped meanwhile
            fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = max_wait_ms, least_bytes  # noqa: SLF001
