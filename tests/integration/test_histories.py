"""Histories are stored in few bytes and read as lists of offsets, those of before and those of now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from outbox.records import DecisionRecord
from outbox.writer import DecisionWriter

#: A worker that has said that it lives, by the SQL of the version before.
OLD_WORKER = (
    "INSERT INTO outbox_workers (owner, seen_until, tells_sources_apart) VALUES ('old', clock_timestamp() + %s, true)"
)


@pytest.mark.parametrize("offsets", [[], [0], [5, 6], [9, 5, 5], list(range(2**40, 2**40 + 50)), [2**63 - 1]])
async def test_what_was_written_as_steps_is_read_as_offsets(
    writer: DecisionWriter, decision: Callable[..., DecisionRecord], query: Callable[..., Any], offsets: list[int]
) -> None:
    await writer.record(decision("e-1", history={"offsets": offsets, "sha256": "00ff"}))

    assert query("SELECT plain_history(history) FROM decisions") == [({"offsets": offsets, "sha256": "00ff"},)]
    assert query("SELECT history ? 'offsets' FROM decisions") == [(False,)]


async def test_a_history_of_before_is_read_as_it_is(query: Callable[..., Any]) -> None:
    assert query("""SELECT plain_history('{"offsets": [3, 4], "sha256": "ff"}')""") == [
        ({"offsets": [3, 4], "sha256": "ff"},)
    ]


@pytest.mark.parametrize(("seen", "is_list"), [("15 seconds", True), ("-1 second", False)], ids=["lives", "has-gone"])
async def test_histories_are_lists_while_a_worker_lives_that_reads_only_lists(
    writer: DecisionWriter, decision: Callable[..., DecisionRecord], query: Callable[..., Any], seen: str, is_list: bool
) -> None:
    query(OLD_WORKER, (seen,))

    await writer.record(decision("e-1"))

    assert query("SELECT history ? 'offsets' FROM decisions") == [(is_list,)]
    assert query("SELECT plain_history(history) FROM decisions") == [({"offsets": [5, 6], "sha256": "00ff"},)]


async def test_a_worker_of_this_version_says_that_it_reads_steps(worker: Any, query: Callable[..., Any]) -> None:
    await worker.relay.drain()

    assert query("SELECT owner, reads_steps FROM outbox_workers") == [("a", True)]
