"""`make bench`: every measurement, one after another."""

from __future__ import annotations

import asyncio

from benchmarks import brains, outbox, replay, windows


async def main() -> None:
    """Measure and print."""
    await windows.measure()
    await outbox.measure()
    await brains.measure()
    await replay.measure()


if __name__ == "__main__":
    asyncio.run(main())
