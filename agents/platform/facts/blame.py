"""Blame: which service is behind an alarm, by what it and those it calls have lost at about that moment.

The moments counted are those in which the alarmed service's own metric left its normal: what others lost at another
time did not hurt it. Losses of one service add up over them. It fails by naming the nearest measured caller of a
service that nobody measures or declares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Final

from agents.platform.events.calls import AVAILABILITY, LATENCY, CauseCandidate
from agents.platform.events.findings import GUESS_TO
from agents.platform.facts.spans import Key
from agents.platform.facts.standing import Standing

#: How far from an alarm a moment may lie. Own choice: two reports of five minutes, on either side.
NEAR: Final = timedelta(minutes=10)
#: How much more a share of requests that fail weighs than as large a share of waiting. Own choice: one request in a
#: hundred that fails is as bad as all being slower by a tenth.
_WEIGHTS: Final = {AVAILABILITY: 10}
#: How much of what the first one lost another must have lost at least to come before it. Own choice.
ENOUGH_LOST: Final = 0.5
#: What counts as having lost as much: monitors are not exact, and a report may be missing. Own choice.
AS_MUCH: Final = 0.9
#: Whom nobody is known to call is mostly called by one only, which lost as much, less what it catches and what is asked
#: for by nobody known: a fifth at least. Own choice.
FAR_MORE: Final = 5
#: A caller lost about as large a part of what those it calls lost in one metric as in the other: at least so much of
#: that part, for noise is in both. Own choice.
ALIKE: Final = 0.3
#: Losses point to one service when it lost so many times as much as the next (monitors are not more exact), and at
#: least this part of what was lost. Own choice.
CLEARLY_MORE: Final = 1.05
AT_LEAST: Final = 0.25
#: How sure a verdict is when all that was lost is the first one's own, and when a call that nobody declared would
#: explain it as well: with a change of the first one, for which that may be chance, and without. Measured with
#: `benchmarks.root_cause`.
AT_MOST: Final = 0.95
CHANGED_TO: Final = 0.85
DOUBTFUL_TO: Final = 0.75


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """A service that may be behind an alarm."""

    service: str
    #: The breach that speaks for it, the one with the greatest loss.
    event_id: str
    #: What it lost itself: seconds, or failed requests; and since when.
    loss: float
    from_at: datetime
    measured: bool
    calls_others: bool
    #: Whether nobody told of a call that leads to it.
    inferred: bool
    change_id: str | None
    change_failure: str | None


@dataclass(frozen=True, slots=True)
class Blame:
    """Who is behind an alarm, the likeliest first; never nobody."""

    metric: str
    suspects: Sequence[Suspect]
    #: Whether a call that nobody declared would explain as well what the first one of those called lost.
    is_doubtful: bool
    #: Whether the alarmed service is the first one itself, and calls nobody: so it says, or its calls were not told.
    is_alone: bool = False

    @property
    def confidence(self) -> float:
        """The first one's share of all that was lost."""
        first = self.suspects[0]
        total = sum(each.loss for each in self.suspects if each.inferred == first.inferred)
        doubtful_to = CHANGED_TO if first.change_id else DOUBTFUL_TO
        surely_to = CHANGED_TO if self.is_alone else AT_MOST
        most = GUESS_TO if first.inferred else doubtful_to if self.is_doubtful else surely_to
        return round(most * first.loss / total, 2) if total else 0.0

    @property
    def is_conclusive(self) -> bool:
        """Whether what was lost adds up to one service: it lost clearly more than any other, and much of it all."""
        first, *others = self.suspects
        if first.inferred:
            return True
        known = [each.loss for each in others if not each.inferred]
        rivals = [each.loss for each in others if each.measured == first.measured and not each.inferred]
        is_clear = first.loss >= CLEARLY_MORE * max(rivals, default=0.0) or first.change_id is not None
        return is_clear and first.loss >= AT_LEAST * (first.loss + sum(known))

    def why(self, suspect: Suspect) -> str:
        """Why a suspect is to blame, or why rather not, in one line for a person."""
        total = sum(each.loss for each in self.suspects if each.inferred == suspect.inferred)
        unit = "s of waiting" if self.metric == LATENCY else "failed requests"
        share = round(100 * suspect.loss / total) if total else 0
        what = f"{suspect.loss:.6g} {unit} of its own, {share} % of what was lost"
        if suspect.inferred:
            return f"{what.partition(',')[0]} at the same time, but nobody told of a call that leads to it"
        if not suspect.measured:
            return f"{what}, but only its callers measure it"
        return f"{what}, after {suspect.change_failure} {suspect.change_id}" if suspect.change_id else what


def blame(standing: Standing, at: datetime) -> Blame | None:
    """Who is behind an alarm of the service at that time; None when nothing was lost that it knows of."""
    metric, moments = _moments(standing, at)
    suspects = _changed_first(_suspects(moments, lambda key: standing.loss(key).candidates))
    if not suspects:
        return None
    is_doubtful = suspects[0].calls_others
    if is_doubtful:
        inferred = _suspects(moments, standing.inferred, inferred=True)
        suspects = _with_inferred(suspects, inferred, _Other(standing, metric, at))
    return Blame(metric, suspects, is_doubtful, is_alone=suspects[0].service == standing.service and not is_doubtful)


def _suspects(
    moments: Sequence[Key], candidates: Callable[[Key], Sequence[CauseCandidate]], *, inferred: bool = False
) -> Sequence[Suspect]:
    found: dict[str, list[tuple[datetime, CauseCandidate]]] = {}
    for key in moments:
        for candidate in candidates(key):
            found.setdefault(candidate.service, []).append((key[1], candidate))
    suspects = (_suspect(said, inferred=inferred) for said in found.values())
    return sorted(suspects, key=lambda each: (not each.measured, -each.loss, each.service))


def _changed_first(suspects: Sequence[Suspect]) -> Sequence[Suspect]:
    """Of those that lost as much as the first one, one that was changed just before comes first."""
    rivals = [each for each in suspects if each.measured == suspects[0].measured]
    changed = [each for each in rivals if each.change_id is not None and each.loss >= AS_MUCH * suspects[0].loss]
    return [*changed[:1], *(each for each in suspects if each not in changed[:1])]


@dataclass(frozen=True, slots=True)
class _Other:
    """What the services lost in the other metric near an alarm: it tells whether one may call the other."""

    standing: Standing
    metric: str
    at: datetime

    def may_be_called(self, hidden: Suspect, known: Suspect) -> bool:
        """Whether a service may be behind what another one lost, by a call that nobody told of.

        A caller loses what those it calls lose, and no more than they do: so it lost in every metric in which the
        hidden one did, less of each, and no sooner. One that names the other as its own cause calls it.
        """
        if self.standing.names(hidden.service, known.service) or hidden.from_at > known.from_at:
            return False
        other = LATENCY if self.metric == AVAILABILITY else AVAILABILITY
        near = self.at - NEAR, self.at + NEAR
        called = self.standing.inferred_of(hidden.service, other, near)
        caller = self.standing.lost_by(known.service, other, near)
        if called < caller:
            return False
        # Who waits so long that its callers give up does not fail itself.
        fails_as_well = self.standing.inferred_of(hidden.service, self.metric, near) > 0
        return not fails_as_well or caller >= ALIKE * called * known.loss / hidden.loss


def _with_inferred(known: Sequence[Suspect], inferred: Sequence[Suspect], other: _Other) -> Sequence[Suspect]:
    """Those that lost at the same time and that nobody is known to call: before or after those that are called."""
    named = {each.service for each in known}
    lost = known[0].loss
    others = [each for each in inferred if each.service not in named]
    likely = [each for each in others if each.measured and each.loss >= ENOUGH_LOST * lost]
    # That it lost at the same time says little: most that did have nothing to do with it.
    first = [
        each
        for each in likely
        if not known[0].measured or (_lost_alike(each, known[0]) and other.may_be_called(each, known[0]))
    ]
    # One that was changed just before is the likelier.
    first = [each for each in first if each.change_id is not None] or first
    next_ones = [each for each in likely if each not in first[:1]]
    return [*first[:1], known[0], *next_ones, *known[1:], *(each for each in others if each not in likely)]


def _lost_alike(hidden: Suspect, known: Suspect) -> bool:
    """Whether one may have lost what another one did by a call nobody told of: as much at least, and not far more.

    A change just before tells more than amounts do.
    """
    least = AS_MUCH if hidden.change_id is not None else 1.0
    most = FAR_MORE if known.change_id is not None or hidden.change_id is None else inf
    return least * known.loss <= hidden.loss <= most * known.loss


def _moments(standing: Standing, at: datetime) -> tuple[str, Sequence[Key]]:
    """The metric that suffered most, as a share of what is normal, and the moments in which it did."""
    near, heard = standing.near(at, NEAR)
    shares: dict[str, float] = {}
    for key in near:
        shares[key[0]] = shares.get(key[0], 0.0) + standing.share(key)
    for key in () if near else heard:
        lost = sum(each.loss for each in standing.loss(key).candidates)
        shares[key[0]] = shares.get(key[0], 0.0) + lost
    if not shares:
        return "", ()
    metric = max(sorted(shares), key=lambda name: shares[name] * _WEIGHTS.get(name, 1))
    return metric, sorted(key for key in near or heard if key[0] == metric)


def _suspect(heard: Sequence[tuple[datetime, CauseCandidate]], *, inferred: bool) -> Suspect:
    said = [candidate for _, candidate in heard]
    greatest = max(said, key=lambda each: (each.loss, each.event_id))
    changed = next((each for each in [greatest, *said] if each.change_id), None)
    return Suspect(
        service=greatest.service,
        event_id=greatest.event_id,
        loss=round(sum(each.loss for each in said), 6),
        from_at=min(at for at, _ in heard),
        measured=greatest.measured,
        calls_others=greatest.calls_others,
        inferred=inferred,
        change_id=changed.change_id if changed else None,
        change_failure=changed.change_failure if changed else None,
    )
