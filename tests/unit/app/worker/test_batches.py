"""A batch of Faust's: what of it is done is told by offsets, and it is acknowledged, or given up, at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from app.worker.fetched import Fetched
from app.worker.stream import FaustBatch

PLACE = TP("timeline-order", 2)


@dataclass(frozen=True)
class Record:
    offset: int
    value: bytes = b"{}"


@dataclass
class Consumer:
    """What a batch tells Faust's consumer, in order."""

    told: list[Any] = field(default_factory=list)

    def taken(self, _message: Fetched) -> None:
        self.told.append("taken")

    def done(self, _message: Fetched, agent: str, offset: int) -> None:
        self.told.append((agent, offset))

    def discard(self, _message: Fetched) -> None:
        self.told.append("discarded")

    def ended(self, _message: Fetched) -> None:
        self.told.append("ended")


@dataclass
class Event:
    message: Fetched
    consumer: Consumer

    def ack(self) -> None:
        self.consumer.told.append("acknowledged")


@dataclass
class App:
    consumer: Consumer = field(default_factory=Consumer)
    consumer_generation_id: int = 1
    is_flowing: bool = True

    @property
    def flow_control(self) -> Any:
        return SimpleNamespace(is_active=lambda: self.is_flowing)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def batch(app: App) -> FaustBatch:
    made: Any = app
    message = Fetched(PLACE, [Record(4), Record(9)], generation_id=1)
    return FaustBatch(made, Event(message, app.consumer), "recovery")  # type: ignore[arg-type]


def test_a_batch_is_the_records_of_its_partition(batch: FaustBatch) -> None:
    assert (batch.topic, batch.partition, [record.offset for record in batch.records]) == ("timeline-order", 2, [4, 9])


def test_a_batch_is_acknowledged_when_all_of_it_is_done_and_nothing_is_held(app: App, batch: FaustBatch) -> None:
    batch.hold()
    batch.hold()
    batch.done(5)
    batch.release()
    batch.done(10)
    assert app.consumer.told == ["taken", ("recovery", 5), ("recovery", 10)]
    batch.release()
    assert app.consumer.told[3:] == ["acknowledged", "ended"]


def test_a_batch_of_which_something_is_left_is_given_up(app: App, batch: FaustBatch) -> None:
    batch.hold()
    batch.done(9)
    batch.release()
    assert app.consumer.told == ["taken", ("recovery", 9), "discarded", "ended"]


def test_of_an_earlier_assignment_nothing_is_told_done(app: App, batch: FaustBatch) -> None:
    batch.hold()
    app.consumer_generation_id = 2
    batch.done(10)
    batch.release()
    assert app.consumer.told == ["taken", "discarded", "ended"]


def test_a_batch_is_stale_once_a_rebalance_has_begun_or_is_over(app: App, batch: FaustBatch) -> None:
    assert not batch.stale
    app.is_flowing = False
    assert batch.stale
    app.is_flowing, app.consumer_generation_id = True, 2
    assert batch.stale
