"""A window made smaller and larger again under load: never with a gap, nothing twice, and whole after a rebuild."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from audit import audit
from drill import Drill
from evidence import DecisionRow, Evidence
from recomputed import MEMORIES, Memory
from standing import windows_due, windows_told
from witness import rows

#: Small, so that a few hundred events go round those that are; the large one would hold all of them.
USUAL, SMALL, LARGE = 12, 2, 200
#: Both have slots for some types beside the events they count together.
AGENTS = ("fraud", "confirmation")
#: Enough for some events of every customer between two changes.
EVENTS = 100

#: Source and id of an event.
Event = tuple[str, str]
#: What comes to one customer, in log order: offset, event, and what it is counted with.
Story = Sequence[tuple[int, Event, str]]


def memory(agent: str, events: int) -> Memory:
    return replace(MEMORIES[agent], events=events)


def stories(evidence: Evidence, spec: Memory) -> Mapping[tuple[int, int], Story]:
    """What the timeline has that is remembered, for each place of a record in it: that of its key."""
    by_key: dict[tuple[int, bytes | None], list[tuple[int, Event, str]]] = {}
    by_place: dict[tuple[int, int], Story] = {}
    for record in evidence.timelines[spec.timeline]:
        event = record.event
        assert event is not None, record
        story = by_key.setdefault((record.partition, record.key), [])
        by_place[record.partition, record.offset] = story
        if event["type"] in spec.remembers.split():
            story.append((record.offset, (event["source"], event["id"]), spec.counted_with(event["type"])))
    return by_place


def what_is_wrong(row: DecisionRow, story: Story, spec: Memory, at_least: int) -> Sequence[str]:
    """What no window knows so: of those that are counted together the last ones, `at_least` so many of the events.

    By event: of one that came more than once any place may be known, or none where another one was just forgotten.
    """
    before = [each for each in story if each[0] < row.place[2] and each[1] != row.event]
    times = Counter(event for _, event, _ in before)
    known = set(row.history["offsets"])
    events_known = {event for offset, event, _ in before if offset in known}
    # A window may hold the event itself, from an earlier place.
    itself = sum(each[0] < row.place[2] and each[1] == row.event for each in story)
    wrong = [] if len(events_known) == len(known) else [f"{len(known)} entries of {len(events_known)} events"]
    for kinds in ("", *spec.slots):
        once = [
            offset in known for offset, event, counted in reversed(before) if counted == kinds and times[event] == 1
        ]
        if not all(once[: sum(once)]):
            wrong.append(f"a gap in {kinds or 'what is counted together'}: {once}")
        there = {event for _, event, counted in before if counted == kinds}
        most = spec.remembered_of(kinds)
        if not min(len(there), most if kinds else at_least) - itself <= len(there & events_known) <= most:
            wrong.append(f"{len(there & events_known)} of {len(there)} in {kinds or 'what is counted together'}")
    return wrong


def assert_windows(evidence: Evidence, made: Collection[str], events: int, *, at_least: int) -> None:
    """No decision of these knew anything but a window of this size, with so many events at the least."""
    for agent in AGENTS:
        spec = memory(agent, events)
        story = stories(evidence, spec)
        decided = [row for row in evidence.decisions if row.agent == agent and row.id in made]
        assert decided
        wrong = {row.place: what_is_wrong(row, story[row.place[1:]], spec, at_least) for row in decided}
        assert {place: said for place, said in wrong.items() if said} == {}


def decided(drill: Drill) -> set[str]:
    """The ids of the decisions there are."""
    return {decision_id for (decision_id,) in rows(drill.database_url, "SELECT id::text FROM decisions")}


def test_a_window_made_smaller_and_larger_never_has_a_gap_and_is_whole_after_a_rebuild(drill: Drill) -> None:
    usual, small, large = (
        drill.seat({"WINDOW_EVENTS": str(events)}, directory="worker") for events in (USUAL, SMALL, LARGE)
    )
    drill.start(usual)
    with drill.load("size") as load:
        drill.go_on(load, EVENTS)
        drill.leave(usual)
        by_usual = decided(drill)
        drill.start(small)
        drill.go_on(load, EVENTS)
        drill.kill(small)
        drill.start(small)
        drill.go_on(load, EVENTS)
        drill.leave(small)
        by_small = decided(drill) - by_usual
        drill.start(large)
        drill.go_on(load, EVENTS)
        # Its windows come from the changelogs now.
        drill.kill(large)
        drill.process(large).forget()
        drill.start(large)
        drill.go_on(load, EVENTS)

    evidence = drill.evidence()
    broken = audit(evidence, [*drill.arena.disturbances, *drill.arena.troubles()]).broken()
    # The audit knows the sizes that agents have by themselves; a story is longer than the small window.
    assert broken.keys() <= {"wrong_history", "never_refunded"}, broken
    assert_windows(evidence, by_usual, USUAL, at_least=USUAL)
    assert_windows(evidence, by_small, SMALL, at_least=SMALL)
    by_large = {row.id for row in evidence.decisions} - by_usual - by_small
    assert_windows(evidence, by_large, LARGE, at_least=SMALL)

    whole = {agent: windows_due(memory(agent, LARGE), evidence.timelines) for agent in AGENTS}
    assert windows_told(drill.process(large), "fraud", list(whole["fraud"])) != whole["fraud"]
    drill.leave(large)
    for agent in AGENTS:
        rebuilt = drill.process(large).run_command("rebuild", agent)
        assert rebuilt.returncode == 0, rebuilt.stderr
    drill.start(large)
    for agent in AGENTS:
        assert windows_told(drill.process(large), agent, list(whole[agent])) == whole[agent]
    assert drill.arena.exits == []
