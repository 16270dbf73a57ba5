"""PostgreSQL is lost under load and restored to an earlier time, while Kafka has gone on: what the procedure mends."""

from __future__ import annotations

import json
import time
from typing import Any

from archive import Archive
from audit import audit
from drill import Drill
from evidence import Disturbance

#: Few, because everything that comes in while the windows are built anew is decided afterwards.
PER_SECOND = 20.0


def command(drill: Drill, worker: int, *arguments: str, code: int = 0) -> str:
    done = drill.process(worker).run_command(*arguments)
    assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def missing(drill: Drill, worker: int) -> list[dict[str, Any]]:
    """What Kafka takes for done and PostgreSQL does not know; the exit code says whether there is any."""
    done = drill.process(worker).run_command("--json", "missing")
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found else 0), done.stderr[-2000:]
    return list(found)


def test_a_database_restored_to_an_earlier_time_lacks_nothing_and_has_nothing_twice(drill: Drill) -> None:
    archive = Archive(drill.arena.sandbox.postgres)
    first, second = drill.seat(), drill.seat()
    drill.start(first, second)
    with drill.load("restore", per_second=PER_SECOND) as load:
        drill.go_on(load)
        archive.back_up()
        drill.go_on(load)
        at = archive.now()
        restored_to, began_at = drill.decisions(), time.time()
        drill.go_on(load)
        archive.ship()
        lost_from = drill.decisions()
        archive.lose()
        drill.kill(first)
        drill.kill(second)

        archive.restore(at)
        assert restored_to - 50 < drill.decisions() < lost_from
        lost = missing(drill, first)
        assert {one["consumer"] for one in lost} > {"fraud", "confirmation"}
        _, _, agents = command(drill, first, "missing", "--rewind").rpartition("rebuild each of its agents: ")
        for agent in agents.split():
            command(drill, first, "rebuild", agent)
        drill.arena.disturbances.append(Disturbance("PostgreSQL was restored", began_at, time.time() + 60))
        drill.start(first, second)
        drill.go_on(load)

    evidence = drill.evidence()
    findings = audit(evidence, [*drill.arena.disturbances, *drill.arena.troubles()])
    # What was published before the restore left in the order of the commits that are lost.
    findings.out_of_order = []
    assert findings.broken() == {}, findings.details[:10]
    assert [one.last_words for one in drill.arena.exits] == []
    assert missing(drill, first) == []
