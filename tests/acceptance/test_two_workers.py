"""Two workers of one agent set share the load; when one is killed the other goes on with full windows."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from facts import Fact, ids, send, sending
from observe import decided, eventually, get, rows, settled
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from stages import Stage

from app.sandbox.worker_process import WorkerProcess

Windows = Mapping[str, Sequence[str]]

#: Enough entities that every partition has some, with three facts each before anything is killed.
ENTITIES = 32
NAMES = [f"pair-{number}" for number in range(ENTITIES)]

#: Shorter than any session time-out, so that a worker that is frozen this long is still a member.
FROZEN_SECONDS = 4.0


@dataclass(frozen=True)
class Pair:
    """The worker of the stage and a second one, with three facts of each entity decided."""

    stage: Stage
    second: WorkerProcess
    before: Sequence[Fact]

    @property
    def first(self) -> WorkerProcess:
        """The worker of the stage."""
        return self.stage.worker

    def windows(self, worker: WorkerProcess, timeout_seconds: float = 10.0) -> Windows:
        """The event ids of every window as this worker answers; those it does not answer are left out."""
        agent = self.stage.cast.deciders[0]

        def ask(name: str) -> Sequence[str]:
            try:
                status, body = get(worker.url, f"/agents/{agent}/windows/{name}", timeout_seconds)
            except OSError:
                return ()
            return [entry["event"]["id"] for entry in body["events"]] if status == 200 else ()

        with ThreadPoolExecutor(len(NAMES)) as pool:
            return {name: found for name, found in zip(NAMES, pool.map(ask, NAMES), strict=True) if found}

    def are_full(self, found: Windows) -> bool:
        """Whether every window holds its three events."""
        expected = {name: {fact.event_id for fact in self.before if fact.entity_id == name} for name in NAMES}
        return {name: set(events) for name, events in found.items()} == expected


def facts(stage: Stage, name: str, first: int, count: int) -> Sequence[Fact]:
    """The entities take turns."""
    return [stage.cast.fact(f"{name}-{number}", NAMES[number % ENTITIES], first + number) for number in range(count)]


@pytest.fixture(scope="module")
def pair(stage_of_the_session: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    stage = stage_of_the_session
    second = WorkerProcess(stage.sandbox, tmp_path_factory.mktemp("worker") / "second", stage.settings)
    stage.worker.start()
    before = facts(stage, "pair-before", 0, 3 * ENTITIES)
    try:
        second.start()
        asyncio.run(send(stage.sandbox.kafka, [fact.structured() for fact in before]))
        settled(stage.database_url, ids(before), stage.cast.deciders)
        yield Pair(stage, second, before)
    finally:
        second.release()


@contextmanager
def frozen(worker: WorkerProcess) -> Iterator[None]:
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_either_worker_answers_for_every_window(pair: Pair) -> None:
    for worker in (pair.first, pair.second):
        eventually(partial(pair.windows, worker), pair.are_full)


def test_each_worker_owns_a_part_of_the_windows(pair: Pair) -> None:
    eventually(lambda: pair.windows(pair.first), pair.are_full)

    def owned() -> tuple[set[str], set[str]]:
        with frozen(pair.second):
            of_the_first = pair.windows(pair.first, FROZEN_SECONDS)
        with frozen(pair.first):
            of_the_second = pair.windows(pair.second, FROZEN_SECONDS)
        return set(of_the_first), set(of_the_second)

    # A busy machine may not answer in time, or take a frozen worker for a dead one: then they are asked again.
    of_the_first, of_the_second = eventually(owned, lambda found: len(found[0]) + len(found[1]) == ENTITIES)

    assert of_the_first | of_the_second == set(NAMES)
    assert of_the_first
    assert of_the_second


def test_when_one_is_killed_the_other_takes_over_with_full_windows(pair: Pair) -> None:
    stage, url = pair.stage, pair.stage.database_url
    later = facts(stage, "pair-later", len(pair.before), 5 * ENTITIES)

    with sending(stage.sandbox.kafka, [fact.structured() for fact in later]):
        eventually(lambda: decided(url, ids(later), stage.cast.deciders), lambda count: count >= ENTITIES)
        pair.first.send(signal.SIGKILL)
    settled(url, ids(later), stage.cast.deciders)

    everything = [*pair.before, *later]
    topics = stage.cast.catalogue.topics
    assert_nothing_lost_or_doubled(stage.sandbox, everything, topics=topics, repeats_allowed=True)
    assert_histories_are_exact(stage.sandbox, everything)
    longest = rows(
        url,
        "SELECT max(jsonb_array_length(plain_history(history)->'offsets')) FROM decisions WHERE entity_id = ANY (%s)"
        " GROUP BY entity_id",
        NAMES,
    )
    assert longest == [(7,)] * ENTITIES
    answered = eventually(lambda: pair.windows(pair.second), lambda found: len(found) == ENTITIES)
    assert {len(events) for events in answered.values()} == {8}
