"""Late: an event that may be the cause of an error arrives behind it, and the error is looked at again.

What was said of the error before is found again from what was known until then. Only an error that was not explained,
or not surely, gets another verdict, unless the error's chain of causes names what arrived. The same answer is not given
twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from agents.model.event import DomainEvent
from agents.model.history import History, Past, past_of
from agents.platform.events import SURE_FROM, ErrorOccurred, RootCauseIdentified
from agents.shop.facts.story import SKEW, Chronicle
from agents.shop.failures import Failure
from agents.shop.root_cause.ranking import Ranker, Ranking

#: An error is looked at again for what happened up to so long before it. Own choice: what is older than this, and
#: arrives only now, is no news of a running order.
LOOK_BACK: Final = timedelta(days=7)
#: So many errors of an order, the latest in the log, are looked at again: each costs as much as an error. Own choice.
MOST_REVISED: Final = 8

#: What is said of a service's change while it is a guess (only a language model guesses) does not stop a second look.
_OF_A_SERVICE: Final = frozenset({Failure.BAD_DEPLOYMENT, Failure.BAD_CONFIGURATION})


def explained_by(arrived: DomainEvent, history: History) -> Sequence[tuple[Past[ErrorOccurred], Ranking]]:
    """The earlier errors for which what arrived makes another verdict, in the order of the log."""
    now: Past[DomainEvent] = past_of(history.event, arrived)
    named = {now.id, *_caused_by(now, history)}
    errors = [
        error
        for error in history.of(ErrorOccurred)
        if now.at - SKEW <= error.at <= now.at + LOOK_BACK or error.causationid in named
    ][-MOST_REVISED:]
    if not errors:
        return []
    settled = _settled(history)
    before, after = Ranker(Chronicle(history)), Ranker(Chronicle(history, now))
    revised = []
    for error in errors:
        if error.id in settled or history.is_ambiguous(error.id):
            continue
        known, new = before.rank(error), after.rank(error)
        if _is_news(known, new, now):
            revised.append((error, new))
    return revised


def is_open(verdict: RootCauseIdentified) -> bool:
    """Whether nobody could explain the error so far."""
    is_guess = verdict.failure in _OF_A_SERVICE and verdict.confidence < SURE_FROM
    return verdict.failure == Failure.UNKNOWN or is_guess


def _caused_by(now: Past[DomainEvent], history: History) -> Sequence[str]:
    """The ids of what names the event as its cause: an error may name one of these."""
    return [past.id for past in history.of(DomainEvent) if past.causationid == now.id]


def _settled(history: History) -> set[str]:
    """The ids of the errors that a service's change explains, by the last verdict on each."""
    last = {verdict.data.error_event_id: verdict.data for verdict in history.of(RootCauseIdentified)}
    return {error_id for error_id, verdict in last.items() if verdict.failure in _OF_A_SERVICE and not is_open(verdict)}


def _is_news(known: Ranking, new: Ranking, now: Past[DomainEvent]) -> bool:
    """Whether what arrived leads to another answer, which may replace the one there was."""
    was, named = _answer(known), _answer(new)
    if was == named or not new.ranked:
        return False
    first = new.ranked[0]
    is_linked = first.linked and now.key in {sign.key for sign in first.candidate.signs}
    return known.confidence < SURE_FROM or is_linked


def _answer(ranking: Ranking) -> tuple[object, ...]:
    named = ranking.named
    if named is not None:
        return named.candidate.failure, named.candidate.culprit.key
    return tuple(each.candidate.culprit.key for each in ranking.rivals)
