"""A dead letter put back into a timeline: decided on by who could not, and by nobody a second time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakes import tell_the_history

from agents.model.decision import Decision
from agents.model.history import History

MakeRig = Callable[..., Any]


def broken_for(event_id: str, is_broken: list[bool]) -> Callable[[Any, History], Decision]:
    """Rules with a bug for one event, until it is fixed."""

    def rules(event: Any, history: History) -> Decision:
        if history.event.id == event_id and is_broken:
            raise KeyError(event_id)
        return tell_the_history(event, history)

    return rules


async def test_the_agent_decides_when_its_bug_is_fixed_and_knows_what_came_meanwhile(make_rig: MakeRig) -> None:
    bug = [True]
    rig = make_rig(broken_for("e1", bug))
    await rig.accept(*(rig.event(offset) for offset in range(4)))
    assert [letter.reason for letter in rig.writer.letters] == ["decision_failed"]

    bug.clear()
    await rig.accept(rig.event(9, event_id="e1", minute=1), rig.event(10))

    assert rig.known("e1") == "e0 e2 e3"
    assert rig.known("e10") == "e0 e1 e2 e3"
    assert len(rig.writer.letters) == 1


async def test_another_agent_of_the_entity_neither_decides_nor_remembers_it_again(make_rig: MakeRig) -> None:
    rig = make_rig()
    await rig.accept(*(rig.event(offset) for offset in range(3)))
    before = rig.windows.read(0, "ada")

    await rig.accept(rig.event(9, event_id="e1", minute=1))

    assert rig.windows.read(0, "ada") == before
    assert rig.known("e1") == "e0"
    assert [decision.event_id for decision in rig.writer.decisions] == ["e0", "e1", "e2"]
    assert rig.acknowledged == [0, 1, 2, 9]
