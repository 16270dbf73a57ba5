"""One worker becomes three and one again, while events come in: nobody notices but those who look at the workers."""

from __future__ import annotations

from pathlib import Path

from drill import Drill
from recomputed import MEMORIES
from standing import lag, windows_due, windows_told

#: What a worker counts on as partitions of each timeline (`TOPIC_PARTITIONS`).
PARTITIONS = 8
GROUP, ROUTER = "innervate-all", "innervate-router"


def on_disk(drill: Drill, number: int, agent: str) -> set[int]:
    """The partitions of an agent's windows that a worker has on its disk, as its own or in case another one ends."""
    found = drill.process(number).tables.rglob(f"*{agent}-windows-*.db")
    return {partition_in(folder) for folder in found}


def partition_in(folder: Path) -> int:
    return int(folder.stem.rpartition("-")[2])


def test_one_worker_becomes_three_and_one_again_under_load(drill: Drill) -> None:
    first, second, third = drill.seat(), drill.seat(), drill.seat()
    everything = set(range(PARTITIONS))
    drill.start(first)
    with drill.load("scale") as load:
        drill.go_on(load)
        drill.start(second, third)
        drill.share(first, second, third)
        # What one has for its own is on another one's disk as well.
        drill.wait_for(
            lambda: (
                [
                    partition
                    for partition in everything
                    if sum(partition in on_disk(drill, number, "fraud") for number in (first, second, third)) < 2
                ]
                == []
            ),
            what="a standby of every partition",
        )
        drill.go_on(load)
        drill.leave(second)
        drill.go_on(load)
        drill.kill(third)
        drill.go_on(load)
        drill.wait_for(lambda: drill.arena.ready(first), what="the worker that is left to have everything")
        drill.go_on(load)

    topics = {GROUP: drill.arena.trade.timelines, ROUTER: drill.arena.trade.topics}
    for group, read in topics.items():
        drill.wait_for(lambda group=group, read=read: lag(drill.kafka, group, read) == 0, what=f"no lag of {group}")  # type: ignore[misc]
    evidence = drill.assert_promises_kept()
    for agent in ("fraud", "recovery"):
        due = windows_due(MEMORIES[agent], evidence.timelines)
        assert windows_told(drill.process(first), agent, list(due)) == due
