"""A worker whose broker takes its time: `faust -A slow … worker`, with this folder on the path.

Between seeking its partitions and fetching from them it waits for longer than a fetch may be under way, as on a busy
machine.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from app.composition import create_app
from app.settings import load_settings
from app.worker.consumer import Consumer

#: Faust's fetches wait for one second.
_PAUSE_SECONDS = 1.2

_seek_to_committed = Consumer.seek_to_committed


async def _slowly(self: Consumer) -> Mapping[Any, int]:
    committed = await _seek_to_committed(self)
    await asyncio.sleep(_PAUSE_SECONDS)
    return committed


Consumer.seek_to_committed = _slowly  # type: ignore[method-assign]

app = create_app(load_settings(sys.argv[1:]))
