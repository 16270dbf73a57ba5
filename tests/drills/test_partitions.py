"""Partitions that somebody adds to a timeline: nothing goes on with windows that lie elsewhere, and there is a way."""

from __future__ import annotations

import shutil

from audit import audit
from drill import Drill
from group import GROUPS, dismiss_members
from recomputed import MEMORIES
from standing import add_partitions, delete, topics_of, windows_due, windows_told

MORE = 12
TOUCHED = "timeline-order"


def last_words_of_the_end(drill: Drill, number: int) -> str:
    """Wait until a worker has ended with exit code 1; what it said."""
    process = drill.process(number)
    drill.arena.seats[number].wanted = False
    drill.wait_for(lambda: process.exit_code is not None, what=f"worker {number} to end")
    assert process.exit_code == 1, process.last_words()
    return "\n".join(process.last_words())


def test_added_partitions_stop_the_workers_and_new_timelines_are_filled_again(drill: Drill) -> None:
    first = drill.seat()
    drill.start(first)
    with drill.load("few") as load:
        drill.go_on(load)
    before = drill.assert_promises_kept()

    # A worker that runs notices, and does not start again.
    add_partitions(drill.kafka, TOUCHED, MORE)
    refusal = f"innervate: topic {TOUCHED} has {MORE} partitions, TOPIC_PARTITIONS is 8: windows stay in the partition"
    assert refusal in last_words_of_the_end(drill, first)
    drill.process(first).launch()
    assert refusal in last_words_of_the_end(drill, first)

    # Nor where everything was changed together.
    windows = [name for name in topics_of(drill.kafka) if name.startswith("timeline-") or name.endswith("-changelog")]
    for topic in windows:
        if topic != TOUCHED:
            add_partitions(drill.kafka, topic, MORE)
    second = drill.seat({"TOPIC_PARTITIONS": str(MORE)})
    drill.process(second).launch()
    assert "were written when they had another number of partitions" in last_words_of_the_end(drill, second)

    # The way of docs/operations.md.
    dismiss_members(drill.kafka)
    delete(drill.kafka, windows, GROUPS)
    for number in (first, second):
        shutil.rmtree(drill.process(number).tables, ignore_errors=True)
    drill.start(second)
    with drill.load("more") as load:
        drill.go_on(load)
    evidence = drill.evidence()
    findings = audit(evidence, [*drill.arena.disturbances, *drill.arena.troubles()])
    made_before = {str(row) for row in before.decisions}
    broken = findings.broken()
    # What was decided before says where it stood in the timelines of before.
    assert set(broken.pop("wrong_history", ())) <= made_before
    assert broken == {}, findings.details[:10]
    assert drill.arena.exits == []
    assert {row.id for row in before.decisions} <= {row.id for row in evidence.decisions}
    for agent in ("fraud", "recovery"):
        due = windows_due(MEMORIES[agent], evidence.timelines)
        assert windows_told(drill.process(second), agent, list(due)) == due
