"""Two workers of one agent set share the load; when one is killed the other goes on with full windows."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from observe import decided, eventually, get, rows, settled
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from shop import Payment, send, sending, series

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

Windows = Mapping[str, Sequence[str]]

#: Enough customers that every partition has some, with three payments each before anything is killed.
CUSTOMERS = 32
BEFORE = series("pair", CUSTOMERS, 3 * CUSTOMERS)
NAMES = [payment.customer_id for payment in BEFORE[:CUSTOMERS]]
EXPECTED = {name: {payment.event_id for payment in BEFORE if payment.customer_id == name} for name in NAMES}

#: Shorter than any session time-out, so that a worker that is frozen this long is still a member.
FROZEN_SECONDS = 4.0


@pytest.fixture(scope="module")
def pair(
    sandbox: Sandbox, first_worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[WorkerProcess, WorkerProcess]]:
    """The worker of the session and a second one, with the customers' payments decided."""
    second = WorkerProcess(sandbox, tmp_path_factory.mktemp("worker") / "second")
    first_worker.start()
    try:
        second.start()
        asyncio.run(send(sandbox.kafka, [payment.structured() for payment in BEFORE]))
        settled(sandbox.database_url, [payment.event_id for payment in BEFORE])
        yield first_worker, second
    finally:
        second.release()


def windows(worker: WorkerProcess, timeout_seconds: float = 10.0) -> Windows:
    """The event ids of every customer's window as this worker answers; those it does not answer are left out."""

    def ask(name: str) -> Sequence[str]:
        try:
            status, body = get(worker.url, f"/agents/fraud/windows/{name}", timeout_seconds)
        except OSError:
            return ()
        return [entry["event"]["id"] for entry in body["events"]] if status == 200 else ()

    with ThreadPoolExecutor(len(NAMES)) as pool:
        return {name: found for name, found in zip(NAMES, pool.map(ask, NAMES), strict=True) if found}


def are_full(found: Windows) -> bool:
    return {name: set(events) for name, events in found.items()} == EXPECTED


@contextmanager
def frozen(worker: WorkerProcess) -> Iterator[None]:
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_either_worker_answers_for_every_window(pair: tuple[WorkerProcess, WorkerProcess]) -> None:
    for worker in pair:
        eventually(partial(windows, worker), are_full)


def test_each_worker_owns_a_part_of_the_windows(pair: tuple[WorkerProcess, WorkerProcess]) -> None:
    first, second = pair
    eventually(lambda: windows(first), are_full)

    def owned() -> tuple[set[str], set[str]]:
        with frozen(second):
            of_the_first = windows(first, FROZEN_SECONDS)
        with frozen(first):
            of_the_second = windows(second, FROZEN_SECONDS)
        return set(of_the_first), set(of_the_second)

    # A busy machine may not answer in time, or take a frozen worker for a dead one: then they are asked again.
    of_the_first, of_the_second = eventually(owned, lambda found: len(found[0]) + len(found[1]) == CUSTOMERS)

    assert of_the_first | of_the_second == set(NAMES)
    assert of_the_first
    assert of_the_second


def test_when_one_is_killed_the_other_takes_over_with_full_windows(
    sandbox: Sandbox, pair: tuple[WorkerProcess, WorkerProcess]
) -> None:
    first, second = pair
    later = [
        Payment(f"pair-later-{number}", NAMES[number % CUSTOMERS], len(BEFORE) + number)
        for number in range(5 * CUSTOMERS)
    ]
    ids = [payment.event_id for payment in later]

    with sending(sandbox.kafka, [payment.structured() for payment in later]):
        eventually(lambda: decided(sandbox.database_url, ids), lambda count: count >= CUSTOMERS)
        first.send(signal.SIGKILL)
    settled(sandbox.database_url, ids)

    assert_nothing_lost_or_doubled(sandbox, [*BEFORE, *later], repeats_allowed=True)
    assert_histories_are_exact(sandbox, [*BEFORE, *later])
    longest = rows(
        sandbox.database_url,
        "SELECT max(jsonb_array_length(history->'offsets')) FROM decisions WHERE entity_id = ANY (%s)"
        " GROUP BY entity_id",
        NAMES,
    )
    assert longest == [(7,)] * CUSTOMERS
    answered = eventually(lambda: windows(second), lambda found: len(found) == CUSTOMERS)
    assert {len(events) for events in answered.values()} == {8}
