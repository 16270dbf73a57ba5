"""The line of a story: entries in their order, gaps where something is missing, runs as groups. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Final

from app.story.model import Entry, EventEntry, GapEntry, GroupEntry, Link

#: Nothing for so long is told as a silence. Own choice: who looks at a failure thinks in minutes.
SILENCE: Final = timedelta(hours=1)
#: So many events in a row that say nothing else are one group.
RUN: Final = 3


def in_line(ordered: Sequence[Entry], links: Sequence[Link], gaps: Sequence[GapEntry]) -> Sequence[Entry]:
    """Entries in their order, with gaps before what misses something, silences, and groups."""
    linked = {end for link in links for end in (link.cause, link.effect)}
    missing: defaultdict[str | None, list[GapEntry]] = defaultdict(list)
    for gap in gaps:
        missing[gap.about].append(gap)
    with_gaps: list[Entry] = []
    last: datetime | None = None
    for entry in ordered:
        if last is not None and entry.at - last > SILENCE:
            with_gaps.append(_silence(last, entry))
        last = entry.at if last is None else max(last, entry.at)
        with_gaps += [*missing[entry.id], entry]
    return list(_grouped(with_gaps, linked))


def in_order(told: Sequence[Entry], links: Sequence[Link]) -> Sequence[Entry]:
    """By time, by cause and by the log: an entry whose clock was behind stands right behind what came before it."""
    entries = {entry.id: entry for entry in told}
    causes: defaultdict[str, list[str]] = defaultdict(list)
    for link in links:
        if link.cause in entries and link.effect in entries:
            causes[link.effect].append(link.cause)
    for before, after in _in_the_log(told):
        causes[after].append(before)
    places: dict[str, tuple[datetime, int]] = {}
    for entry_id in entries:
        _place(entry_id, entries, causes, places)
    return sorted(told, key=lambda entry: (*places[entry.id], entry.at, entry.id))


def _in_the_log(told: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Neighbours in one partition, by the first record of each event there."""
    firsts: defaultdict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    for entry in told:
        for place in entry.places if isinstance(entry, EventEntry) else ():
            offsets = firsts[place.topic, place.partition]
            offsets[entry.id] = min(place.offset, offsets.get(entry.id, place.offset))
    for offsets in firsts.values():
        yield from pairwise(sorted(offsets, key=offsets.__getitem__))


def _place(
    entry_id: str,
    entries: Mapping[str, Entry],
    causes: Mapping[str, Sequence[str]],
    places: dict[str, tuple[datetime, int]],
) -> None:
    """Place the entry and all that led to it: the later of its own time and theirs, and how many come before it then.

    Events may name each other as causes, in a circle: whoever comes second there stands by its time alone.
    """
    waiting, under_way = [entry_id], set()
    while waiting:
        current = waiting[-1]
        if current in places:
            waiting.pop()
            continue
        unplaced = [cause for cause in causes.get(current, ()) if cause not in places and cause not in under_way]
        if unplaced and current not in under_way:
            under_way.add(current)
            waiting += unplaced
            continue
        before = [places[cause] for cause in causes.get(current, ()) if cause in places]
        own = (entries[current].at, 0)
        places[current] = max([own, *((at, depth + 1) for at, depth in before)])
        waiting.pop()


def _silence(last: datetime, entry: Entry) -> GapEntry:
    seconds = (entry.at - last).total_seconds()
    return GapEntry(
        id=f"gap-silence-{entry.id}",
        at=last,
        reason="silence",
        sentence=f"nothing for {spoken(seconds)}",
        about=None,
        seconds=seconds,
    )


def spoken(seconds: float) -> str:
    """A length of time in its two largest units."""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (int(seconds), "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def _grouped(entries: Sequence[Entry], linked: Collection[str]) -> Iterator[Entry]:
    for kind, run in groupby(entries, key=lambda entry: _kind(entry, linked)):
        members = list(run)
        if kind is None or len(members) < RUN:
            yield from members
            continue
        events = [each for each in members if isinstance(each, EventEntry)]
        yield GroupEntry(
            id=f"group-{events[0].id}",
            at=events[0].at,
            until=events[-1].at,
            type=events[0].type,
            belongs=events[0].belongs,
            entries=events,
        )


def _kind(entry: Entry, linked: Collection[str]) -> tuple[str, str] | None:
    """What entries of one run have in common; None for what is never in one."""
    if not isinstance(entry, EventEntry) or entry.marks or entry.id in linked or entry.state != "log":
        return None
    return entry.type, entry.belongs
