"""Sets of agents (`AGENTS`): deployed apart, scaled apart, and an agent moved from one set to another."""

from __future__ import annotations

from drill import Drill
from recomputed import MEMORIES
from standing import lag, windows_due, windows_told

BUYING, ORDERS = "confirmation,fraud,fulfilment", "bookkeeping,cascade,incident,recovery,root_cause"
#: Where `confirmation` has moved from one to the other.
LESS, MORE = "fraud,fulfilment", "bookkeeping,cascade,confirmation,incident,recovery,root_cause"


def group(agents: str) -> str:
    return f"innervate-{agents.replace(',', '-')}"


def test_sets_are_scaled_apart_and_an_agent_moves_from_one_to_another(drill: Drill) -> None:
    buying, more_buying, orders = (
        drill.seat({"AGENTS": BUYING}),
        drill.seat({"AGENTS": BUYING}),
        drill.seat({"AGENTS": ORDERS}),
    )
    less, more = drill.seat({"AGENTS": LESS}), drill.seat({"AGENTS": MORE})
    drill.start(buying, orders)
    with drill.load("sets") as load:
        drill.go_on(load)
        drill.start(more_buying)
        drill.share(buying, more_buying, orders)
        drill.go_on(load)
        drill.leave(more_buying)
        drill.go_on(load)
        # Both sets get other names, so both read their timelines from the beginning; what is decided stays decided.
        drill.leave(buying, orders)
        drill.start(less, more)
        drill.go_on(load)

    evidence = drill.assert_promises_kept()
    for agents in (LESS, MORE):
        read = sorted({MEMORIES[agent].timeline for agent in agents.split(",")})
        drill.wait_for(lambda agents=agents, read=read: lag(drill.kafka, group(agents), read) == 0, what="no lag")  # type: ignore[misc]
    for agent in ("confirmation", "fraud"):
        due = windows_due(MEMORIES[agent], evidence.timelines)
        # Whichever is asked, the worker of the set that runs the agent answers.
        assert windows_told(drill.process(less), agent, list(due)) == due
