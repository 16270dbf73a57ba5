"""Traces: an event followed from its producer through router, agents, models and outbox to the next agent's record.

OpenTelemetry's own variables say whether and where to: `OTEL_EXPORTER_OTLP_ENDPOINT` turns it on. Without it nothing of
this is imported but this module, and no event meets any of it. The SDK is the extra `otel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tables.errors import Fatal

if TYPE_CHECKING:
    from app.telemetry.traces.followers import Followers


class TracesUnusable(Fatal):
    """The environment asks for traces in a way that there is none for."""


def is_on(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces. Raises `TracesUnusable` for what would be silently left undone."""
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = given.get("OTEL_TRACES_EXPORTER", "otlp")
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if exporter == "none" or not any(name in given for name in endpoints):
        return False
    if exporter != "otlp":
        raise TracesUnusable("OTEL_TRACES_EXPORTER: expected otlp or none")
    protocols = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((given[name] for name in protocols if name in given), "http/protobuf")
    if protocol != "http/protobuf":
        raise TracesUnusable(f"OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf, got {protocol[:40]!r}")
    return True


def followers_of(environment: Mapping[str, str], agent_set: str) -> Followers | None:
    """Who follows the events of this worker; None when nobody asks. Raises `SystemExit` with one line."""
    try:
        if not is_on(environment):
            return None
        from app.telemetry.traces.followers import Followers  # noqa: PLC0415 - only where it is asked for
        from app.telemetry.traces.tracer import Tracer  # noqa: PLC0415
    except TracesUnusable as error:
        raise SystemExit(f"innervate: {error}") from None
    except ModuleNotFoundError:
        raise SystemExit("innervate: OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: the extra `otel`") from None
    return Followers(Tracer.exporting(agent_set))
