"""Verdicts: what was named as the cause of each error, against the truth, and how sure it was said to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.simulator import Truth

Published = Mapping[str, Any]

#: A wrong verdict that claims as much is falsely confident.
CONFIDENT_FROM: Final = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The verdicts that claimed about as much."""

    verdicts: int
    #: The mean of what they claimed, and the share that was right.
    claimed: float
    right: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdicts:
    """How good the last verdicts on all errors were; shares are 1 (false confidence: 0) where there are none."""

    errors: int
    top1: float
    #: Errors whose culprit is the named one or among the first two alternatives.
    top3: float
    #: The share of the verdicts that are wrong and claim `CONFIDENT_FROM` or more.
    false_confidence: float
    #: By the tenth claimed: "0.9" holds everything from 0.9 to 1.
    calibration: Mapping[str, Calibration]
    wrong: Sequence[str]


def judged_verdicts(
    truth: Sequence[Truth], named: Mapping[str, Published], kinds: Mapping[str, str] | None = None
) -> Verdicts:
    """Compare the last verdict on each error, by the error's id, with its truth; `kinds` are told of, by order.

    Of errors that repeat one, a verdict may be missing, and all of an order count as one more error.
    """
    truth = _each_story_twice_at_most(truth, named)
    right = [_is_right(each, named.get(each.error_event_id)) for each in truth]
    close = sum(_is_close(each, named.get(each.error_event_id)) for each in truth)
    tenths: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    wrong = []
    for each, is_right in zip(truth, right, strict=True):
        verdict = named.get(each.error_event_id)
        if verdict is not None:
            claimed = float(verdict["confidence"])
            tenths[min(9, int(claimed * 10 + 1e-9))].append((claimed, is_right))
        if not is_right:
            wrong.append(_line(each, verdict, (kinds or {}).get(each.order_id, each.failure)))
    pairs = [pair for tenth in tenths.values() for pair in tenth]
    falsely = sum(claimed >= CONFIDENT_FROM and not is_right for claimed, is_right in pairs)
    return Verdicts(
        errors=len(truth),
        top1=_share(sum(right), len(truth)),
        top3=_share(close, len(truth)),
        false_confidence=round(falsely / len(pairs), 4) if pairs else 0.0,
        calibration={f"0.{tenth}": _calibration(tenths[tenth]) for tenth in sorted(tenths)},
        wrong=wrong,
    )


def _each_story_twice_at_most(truth: Sequence[Truth], named: Mapping[str, Published]) -> Sequence[Truth]:
    """The errors told for the first time, and of an order's repeated ones a wrong one, else the last with a verdict."""
    repeated: dict[str, Truth] = {}
    for each in truth:
        if each.repeats and each.error_event_id in named:
            known = repeated.get(each.order_id)
            if known is None or _is_right(known, named.get(known.error_event_id)):
                repeated[each.order_id] = each
    return [*(each for each in truth if not each.repeats), *repeated.values()]


def _calibration(pairs: Sequence[tuple[float, bool]]) -> Calibration:
    return Calibration(
        verdicts=len(pairs),
        claimed=round(sum(claimed for claimed, _ in pairs) / len(pairs), 3),
        right=round(sum(is_right for _, is_right in pairs) / len(pairs), 3),
    )


def _share(good: int, total: int) -> float:
    """Cut off, not rounded: 1.0 means all of them."""
    return good * 10_000 // total / 10_000 if total else 1.0


def _is_right(truth: Truth, verdict: Published | None) -> bool:
    return verdict is not None and truth.is_told_by(verdict["failure"], verdict["culprit_event_id"])


def _is_close(truth: Truth, verdict: Published | None) -> bool:
    if verdict is None or truth.culprit_event_id is None or _is_right(truth, verdict):
        return _is_right(truth, verdict)
    return truth.culprit_event_id in (verdict["culprit_event_id"], *verdict["alternatives"][:2])


def _line(truth: Truth, verdict: Published | None, kind: str) -> str:
    true = f"{truth.failure} by {truth.culprit_event_id or 'nothing'}"
    if verdict is None:
        return f"{truth.error_event_id} ({kind}): {true}, no verdict"
    named = f"{verdict['failure']} by {verdict['culprit_event_id'] or 'nothing'}"
    return f"{truth.error_event_id} ({kind}): {true}, named {named}, confidence {verdict['confidence']:.2f}"
