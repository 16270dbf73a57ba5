"""A worker that comes back under the name it had in its groups gets its partitions back, and nobody else's move.

`KAFKA_GROUP_INSTANCE_ID`, as the Helm chart gives every pod its name; see docs/deployment.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from drill import Drill

#: Longer than a worker takes to stop and to start again here.
AWAY_SECONDS = 90
GROUPS = ("innervate-all", "innervate-router")


def pod(number: int) -> Mapping[str, str]:
    return {"KAFKA_GROUP_INSTANCE_ID": f"pod-{number}", "KAFKA_SESSION_TIMEOUT_SECONDS": str(AWAY_SECONDS)}


def generations(drill: Drill, number: int) -> Mapping[str, int]:
    """The newest generation of each group that a worker has joined: Kafka counts one more at each rebalance."""
    log = drill.process(number).log_path.read_text(encoding="utf-8", errors="replace")
    joined = {group: re.findall(rf"Joined group '{group}' \(generation (\d+)\)", log) for group in GROUPS}
    return {group: int(found[-1]) for group, found in joined.items()}


def test_workers_that_come_back_in_time_get_their_partitions_back_without_a_rebalance(drill: Drill) -> None:
    first, second = drill.seat(pod(0)), drill.seat(pod(1))
    drill.start(first, second)
    with drill.load("pods") as load:
        drill.share(first, second)
        drill.go_on(load)
        before = generations(drill, first)
        assert generations(drill, second) == before

        # One of the two leads the group, and works the assignment out: it comes back like the other.
        for number in (second, first):
            drill.leave(number)
            drill.start(number)
            drill.share(first, second)
            drill.go_on(load)

        assert generations(drill, first) == generations(drill, second) == before
    drill.assert_promises_kept()
