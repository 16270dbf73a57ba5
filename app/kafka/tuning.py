"""Tuning: what clients have to do differently on each kind of broker (`KAFKA_PROFILE`).

Apache Kafka needs nothing. The embedded broker tansu 0.6 waits half the rebalance time-out at every join, reports
wrong end offsets after a batch of several records (a recovery would end early), and has no producer ids for aiokafka
0.14, so what is published there is not idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """Options on top of the usual ones, for each kind of client."""

    faust: Mapping[str, Any]
    consumer: Mapping[str, Any]
    producer: Mapping[str, Any]
    #: Whether the broker reports where a partition really ends.
    exact_ends: bool = True


TUNING: Final[Mapping[str, Tuning]] = {
    "apache": Tuning(faust={}, consumer={}, producer={}),
    "tansu": Tuning(
        faust={
            "producer_max_batch_size": 1,
            "broker_session_timeout": 6,
            "broker_rebalance_timeout": 6,
            "broker_heartbeat_interval": 1,
        },
        consumer={"session_timeout_ms": 6000, "rebalance_timeout_ms": 6000, "heartbeat_interval_ms": 1000},
        producer={"enable_idempotence": False},
        exact_ends=False,
    ),
}
