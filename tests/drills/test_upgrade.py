"""A rolling upgrade: the release before and this one side by side, on the new schema, there and back again."""

from __future__ import annotations

from drill import Drill
from previous import Release, WorkerBefore
from recomputed import MEMORIES
from standing import windows_due, windows_told


def worker_before(drill: Drill, release: Release) -> int:
    """A seat for a worker of the release before."""
    directory = drill.directory / f"before-{len(drill.arena.seats)}"
    return drill.take(WorkerBefore(drill.arena.sandbox, directory, release))


def test_an_upgrade_worker_by_worker_and_the_way_back(drill: Drill, before: Release) -> None:
    old, other_old = worker_before(drill, before), worker_before(drill, before)
    drill.start(old, other_old)
    new, other_new = drill.seat(), drill.seat()
    with drill.load("upgrade") as load:
        drill.go_on(load)
        # The new release migrates first; the old one writes by the new schema from then on, and starts on it.
        migrated = drill.process(new).run_command("migrate")
        assert migrated.returncode == 0, migrated.stderr
        drill.go_on(load)
        drill.kill(other_old)
        drill.start(other_old, new)
        drill.share(old, other_old, new)
        drill.go_on(load)
        drill.leave(old)
        drill.start(other_new)
        drill.leave(other_old)
        drill.share(new, other_new)
        drill.go_on(load)
        # And back: what the new release wrote the old one reads.
        drill.start(old)
        drill.leave(new)
        drill.share(old, other_new)
        drill.go_on(load)
        drill.leave(other_new)
        drill.go_on(load)

    evidence = drill.assert_promises_kept()
    for agent in ("fraud", "recovery"):
        due = windows_due(MEMORIES[agent], evidence.timelines)
        assert windows_told(drill.process(old), agent, list(due)) == due
