"""Stopping: how long a worker that was told to stop may take, by how long a decision of its may.

Whoever stops it gives it longer: docs/operations.md and the Helm chart do the same sum, with ten seconds more.
"""

from __future__ import annotations

from typing import Final

#: How long it waits at least for what is in flight, in seconds.
_DRAIN_SECONDS: Final = 30.0
#: What a decision whose model has answered at last takes to be committed, in seconds, at most.
_COMMIT_SECONDS: Final = 10.0
#: How long the rest takes at most, in seconds: what is pending is published, lanes are handed over.
_REST_SECONDS: Final = 20.0


def drain_seconds(longest_decision_seconds: float) -> float:
    """How long what is in flight is waited for, in seconds; then the worker leaves the group, and it comes again."""
    return max(_DRAIN_SECONDS, longest_decision_seconds + _COMMIT_SECONDS)


def stop_seconds(longest_decision_seconds: float) -> float:
    """How long a stop may take in all, in seconds; then the process ends, whatever still hangs in it."""
    return drain_seconds(longest_decision_seconds) + _REST_SECONDS
