"""Contents: keys and values of records, as much of them as a page shows."""

from __future__ import annotations

from typing import Final

from app.reads.contents import Bytes

#: Characters of a text that are shown; a dead letter may be as large as Kafka lets anything in.
SHOWN: Final = 20_000


def cut_bytes(stored: Bytes | None) -> tuple[Bytes, int] | None:
    """The beginning of it, and how many characters more there are."""
    if stored is None:
        return None
    return stored.model_copy(update={"text": stored.text[:SHOWN]}), max(len(stored.text) - SHOWN, 0)
