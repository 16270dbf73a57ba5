"""Sweep: what is removed and when, by the stream's own time, and only where this worker may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from agents.replay.records import TimelineRecord
from app.worker import sweep
from app.worker.progress import Place, Standing
from app.worker.sweep import Sweep
from tables.errors import SlotUnreadable
from tables.lapse import Lapse, LapsedWindow
from tables.window import WindowSpec

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PLACE = ("timeline-order", 3)


class Log:
    """A timeline whose record at offset n was written n hours after noon, but for those with another time."""

    def __init__(self, **others: datetime) -> None:
        self.others = others
        self.first = 0

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[TimelineRecord]:
        for offset in range(max(start, self.first), end):
            at = self.others.get(f"at_{offset}", NOON + timedelta(hours=offset))
            yield TimelineRecord(
                topic=PLACE[0], partition=partition, offset=offset, at=at, key=b"o-1", value=b"{}", headers=()
            )

    async def first_since(self, partition: int, instant: datetime) -> int | None:
        assert partition == PLACE[1]
        return max(self.first, -((NOON - instant) // timedelta(hours=1)))


class Windows:
    """Three windows that have lapsed, found two at a time."""

    def __init__(self, age: timedelta = DAY) -> None:
        self.spec = WindowSpec(events=5, age=age)
        self.asked: list[Lapse] = []
        self.forgotten: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def lapsed(
        self, partition: int, lapse: Lapse, *, start: bytes, most_slots: int
    ) -> tuple[Sequence[LapsedWindow], bytes | None]:
        assert (partition, most_slots) == (PLACE[1], sweep.TURN_SLOTS)
        self.asked.append(lapse)
        if start == b"":
            return [LapsedWindow("a", [b"a0"]), LapsedWindow("b", [b"b0", b"b1"])], b"c"
        assert start == b"c"
        return [LapsedWindow("c", [b"c0"])], None

    async def forget(
        self, partition: int, windows: Sequence[LapsedWindow], lapse: Lapse, *, is_owned: Callable[[], bool]
    ) -> None:
        assert (partition, lapse) == (PLACE[1], self.asked[-1])
        self.meanwhile()
        if is_owned():
            self.forgotten += [window.entity for window in windows]


class Agent:
    def __init__(self, windows: Windows, assigned: Sequence[Place] = (PLACE,)) -> None:
        self.name = "recovery"
        self.windows = windows
        self.assigned = assigned


class Worker:
    """One worker's sweep, with events that come at most two days after they happened."""

    def __init__(self, windows: Windows, log: Log, *, position: int = 200, now: datetime = NOON + 30 * DAY) -> None:
        self.generation: int | None = 7
        self.crashes: list[BaseException] = []
        self.agent = Agent(windows)

        async def crash(error: BaseException) -> None:
            self.crashes.append(error)

        self.sweep = Sweep(
            [self.agent],
            assignment=lambda: self.generation,
            standings=lambda: {PLACE: Standing(position, position, 0.0, None)},
            timeline=lambda _: log,
            late=2 * DAY,
            crash=crash,
            now=lambda: now,
        )


async def test_what_came_and_happened_before_the_age_and_the_latest_arrival_is_removed() -> None:
    windows = Windows()
    worker = Worker(windows, Log())
    await worker.sweep.round()
    assert windows.forgotten == ["a", "b", "c"]
    assert worker.sweep.removed == {"recovery": 3}
    # The earliest of the last twenty records before the committed offset was written 180 hours after noon.
    assert set(windows.asked) == {Lapse(180 - 72, NOON + timedelta(hours=180 - 72))}


async def test_one_record_that_is_ahead_moves_nothing_and_no_stream_is_ahead_of_the_clock() -> None:
    windows = Windows()
    await Worker(windows, Log(at_195=NOON + 1000 * DAY)).sweep.round()
    assert windows.asked[0].offset == 180 - 72
    windows = Windows()
    await Worker(windows, Log(), now=NOON + timedelta(hours=100)).sweep.round()
    assert windows.asked[0].offset == 100 - 72


async def test_a_backlog_that_is_still_to_be_read_has_not_lapsed() -> None:
    windows = Windows()
    await Worker(windows, Log(), position=90, now=NOON + 300 * DAY).sweep.round()
    assert {(lapse.offset, lapse.time) for lapse in windows.asked} == {(0, NOON - timedelta(hours=2))}


async def test_nothing_is_removed_where_nothing_is_known_of_the_stream() -> None:
    windows, log = Windows(), Log()
    log.first = 200
    await Worker(windows, log).sweep.round()
    assert windows.asked == []


async def test_an_agent_without_a_limit_by_age_keeps_its_windows() -> None:
    windows = Windows(age=timedelta.max)
    await Worker(windows, Log()).sweep.round()
    assert windows.asked == []


async def test_nothing_is_removed_by_a_worker_that_is_rebalancing_or_has_lost_the_partition() -> None:
    windows = Windows()
    worker = Worker(windows, Log())
    worker.generation = None
    await worker.sweep.round()
    assert windows.asked == []

    def is_shared_out_again() -> None:
        worker.generation = 8

    worker.generation, windows.meanwhile = 7, is_shared_out_again
    await worker.sweep.round()
    assert (len(windows.asked), windows.forgotten) == (1, [])

    windows.meanwhile = lambda: setattr(worker.agent, "assigned", ())
    await worker.sweep.round()
    assert (len(windows.asked), windows.forgotten) == (2, [])


async def test_windows_that_cannot_be_read_stop_the_worker() -> None:
    class Unreadable(Windows):
        def lapsed(
            self, partition: int, lapse: Lapse, *, start: bytes, most_slots: int
        ) -> tuple[Sequence[LapsedWindow], bytes | None]:
            raise SlotUnreadable("recovery-windows", f"{partition} {lapse} {start!r} {most_slots}")

    worker = Worker(Unreadable(), Log())
    await worker.sweep.round()
    assert [type(error) for error in worker.crashes] == [SlotUnreadable]
