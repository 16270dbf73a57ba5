"""Losses: what a breach cost, and which of what several services lost happened at the same time.

Seconds of waiting for a latency, failed requests for an availability: both add up over services and requests, which a
ratio or a number of deviations does not.
"""

from __future__ import annotations

from agents.platform.events.calls import AVAILABILITY, LATENCY, MetricBreached, Span

#: Spans that share this much of the shorter one are about the same moment. Own choice: monitors of a team measure over
#: spans of one length, perhaps shifted.
_SAME_FROM = 0.5
#: Callers run into their time limits from so many times the normal latency on. Own choice: limits are set to some
#: multiple of what is normal, seldom to less.
TIMED_OUT_FROM = 3


def loss_of(breach: MetricBreached) -> float | None:
    """What a breach cost: seconds or failed requests, 0 or more; None for a metric that does not add up."""
    if breach.metric == LATENCY:
        return max(0.0, (breach.value - breach.normal) * breach.requests)
    if breach.metric == AVAILABILITY:
        return max(0.0, (breach.normal - breach.value) / 100 * breach.requests)
    return None


def timed_out_by(breach: MetricBreached) -> int:
    """How many requests of its callers a breach may have made fail: those that took several times as long as normal."""
    is_slow = breach.metric == LATENCY and breach.value >= TIMED_OUT_FROM * breach.normal
    return breach.requests if is_slow and breach.value > breach.normal else 0


def span_of(breach: MetricBreached) -> Span:
    """From when to when it was measured."""
    return breach.from_at, breach.to_at


def is_same(one: Span, other: Span) -> bool:
    """Whether two spans are about the same moment."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    shorter = min(one[1] - one[0], other[1] - other[0])
    return shared.total_seconds() > 0 and shared >= _SAME_FROM * shorter
