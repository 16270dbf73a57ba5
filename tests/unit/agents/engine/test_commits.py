"""Commits: what is routed is committed soon, together, and before partitions are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from agents.engine import commits as committing
from agents.engine.commits import COMMIT_SECONDS, Commits

ORDERS, PLATFORM = TopicPartition("orders", 0), TopicPartition("platform", 0)


@dataclass
class Consumer:
    """aiokafka's consumer as commits see it."""

    mine: frozenset[TopicPartition] = frozenset({ORDERS, PLATFORM})
    committed: list[Mapping[TopicPartition, int]] = field(default_factory=list)
    #: What the next commits meet.
    errors: list[Exception] = field(default_factory=list)
    answers: bool = True
    now: float = 100.0

    def assignment(self) -> frozenset[TopicPartition]:
        return self.mine

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not self.answers:
            await asyncio.Event().wait()
        if self.errors:
            raise self.errors.pop(0)
        self.committed.append(offsets)


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def commits(consumer: Consumer) -> Commits:
    return Commits(consumer, clock=lambda: consumer.now)


async def test_offsets_of_many_batches_are_one_commit_when_the_first_has_waited_long_enough(
    commits: Commits, consumer: Consumer
) -> None:
    commits.note({ORDERS: 1})
    consumer.now += COMMIT_SECONDS / 2
    commits.note({ORDERS: 2, PLATFORM: 7})
    await commits.commit_due()
    assert consumer.committed == []
    assert commits.wait_seconds == pytest.approx(COMMIT_SECONDS / 2)

    consumer.now += COMMIT_SECONDS / 2
    await commits.commit_due()

    assert consumer.committed == [{ORDERS: 2, PLATFORM: 7}]
    assert commits.wait_seconds == inf


async def test_what_kafka_knows_already_is_not_committed_again(commits: Commits, consumer: Consumer) -> None:
    commits.note({ORDERS: 1, PLATFORM: 7})
    consumer.now += COMMIT_SECONDS
    await commits.commit_due()

    commits.note({ORDERS: 1, PLATFORM: 7})
    assert commits.wait_seconds == inf
    commits.note({ORDERS: 2, PLATFORM: 7})
    consumer.now += COMMIT_SECONDS
    await commits.commit_due()

    assert consumer.committed == [{ORDERS: 1, PLATFORM: 7}, {ORDERS: 2}]


async def test_partitions_are_given_up_with_all_that_was_noted_and_begin_anew(
    commits: Commits, consumer: Consumer
) -> None:
    commits.note({ORDERS: 1})
    await commits.give_up()
    assert consumer.committed == [{ORDERS: 1}]

    commits.note({ORDERS: 1})
    await commits.give_up()
    assert consumer.committed == [{ORDERS: 1}, {ORDERS: 1}]


async def test_a_partition_that_somebody_else_has_by_now_keeps_the_others_from_nothing(
    commits: Commits, consumer: Consumer
) -> None:
    consumer.mine = frozenset({PLATFORM})
    commits.note({ORDERS: 1, PLATFORM: 7})
    consumer.now += COMMIT_SECONDS
    await commits.commit_due()
    assert consumer.committed == [{PLATFORM: 7}]


async def test_what_a_rebalance_did_not_let_through_is_committed_with_what_comes_next(
    commits: Commits, consumer: Consumer
) -> None:
    consumer.errors = [CommitFailedError()]
    commits.note({ORDERS: 1})
    consumer.now += COMMIT_SECONDS
    await commits.commit_due()
    commits.note({ORDERS: 1})
    consumer.now += COMMIT_SECONDS
    await commits.commit_due()
    assert consumer.committed == [{ORDERS: 1}]


async def test_another_error_of_kafka_is_the_router_s_to_meet(commits: Commits, consumer: Consumer) -> None:
    consumer.errors = [KafkaError("away")]
    commits.note({ORDERS: 1})
    consumer.now += COMMIT_SECONDS
    with pytest.raises(KafkaError):
        await commits.commit_due()


@pytest.mark.parametrize("errors", [[], [KafkaError("away")], [OSError("away")]])
async def test_giving_up_ends_whatever_kafka_does(
    commits: Commits, consumer: Consumer, errors: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "LAST_SECONDS", 0.01)
    consumer.errors, consumer.answers = errors, bool(errors)
    commits.note({ORDERS: 1})
    await commits.give_up()
    assert (consumer.committed, commits.wait_seconds) == ([], inf)


async def test_what_is_noted_while_partitions_are_given_up_is_due_to_nobody(
    commits: Commits, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "LAST_SECONDS", 0.0)
    consumer.answers = False
    commits.note({ORDERS: 1})
    giving_up = asyncio.create_task(commits.give_up())
    await asyncio.sleep(0)
    commits.note({PLATFORM: 7})
    await giving_up
    consumer.now += COMMIT_SECONDS

    # A time to wait that is over and over would keep the router from ever letting anything else run.
    assert commits.wait_seconds == inf
