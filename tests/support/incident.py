"""A small incident as a slice: the one of `tests/incidents`, which this writes anew when run as a program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

from choreography import Choreography
from replaying import NOON, log_of, recorded
from shop_catalogue import AGENTS

from app.simulator import simulate
from app.simulator.records import Produced
from app.timemachine.slices import Slice, SliceHeader, dump
from tables.event import InvalidEvent, parse, to_json

FILE = Path(__file__).parents[1] / "incidents" / "double_refund.jsonl"
ORDER = "o-00048"
#: The events of the order that the incident is about.
ERROR, SECOND_ERROR = f"{ORDER}-ErrorOccurred-1", f"{ORDER}-ErrorOccurred-1-again"
AGENTS_OF_ORDERS = tuple(name for name, agent in AGENTS.items() if agent.entity.name == "order")


@cache
def double_refund() -> Slice:
    """A payment was taken twice and given back; an hour later the shop reports the same error again."""
    told = Choreography().run([*(shop := simulate(seed=11, orders=60, failures=20, start=NOON).records), _again(shop)])
    records = [record for record in log_of(told)["timeline-order"] if record.key == ORDER.encode()]
    offsets = {record.offset for record in records}
    decisions = [recorded(each) for each in told.decisions.values()]
    return Slice(
        header=SliceHeader(agents=AGENTS_OF_ORDERS, entity=("order", ORDER)),
        records=records,
        decisions=sorted(
            (each for each in decisions if each.topic == "timeline-order" and each.offset in offsets),
            key=lambda each: (each.offset, each.agent),
        ),
    )


@cache
def one_customer() -> Slice:
    """A customer one of whose payments `fraud` would have reviewed."""
    told = Choreography().run(simulate(seed=11, orders=60, failures=20, start=NOON).records)
    decisions = [
        recorded(each) for each in told.decisions.values() if (each.agent, each.entity_id) == ("fraud", "c-0015")
    ]
    return Slice(
        header=SliceHeader(agents=("fraud",), entity=("customer", "c-0015")),
        records=[record for record in log_of(told)["timeline-customer"] if record.key == b"c-0015"],
        decisions=sorted(decisions, key=lambda each: each.offset),
    )


def _again(shop: Sequence[Produced]) -> Produced:
    [produced] = [each for each in shop if _id(each) == ERROR]
    event = parse(produced.value, produced.headers)
    again = replace(event, id=SECOND_ERROR, time=event.time + timedelta(hours=1))
    return replace(produced, value=to_json(again), headers=())


def _id(produced: Produced) -> str | None:
    try:
        return parse(produced.value, produced.headers).id
    except InvalidEvent:
        return None


if __name__ == "__main__":
    dump(double_refund(), FILE)
    sys.stdout.write(f"{FILE}\n")
