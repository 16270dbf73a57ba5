"""Collector: takes spans by OTLP over HTTP on 127.0.0.1 and keeps them."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A span as it came. Ids are hexadecimal, times nanoseconds since 1970."""

    trace_id: str
    span_id: str
    #: Empty for the first span of a trace.
    parent_id: str
    name: str
    #: `SPAN_KIND_CONSUMER`, …
    kind: int
    started_at: int
    ended_at: int
    attributes: dict[str, Any] = field(default_factory=dict)
    #: Ids of trace and span.
    links: tuple[tuple[str, str], ...] = ()
    is_failed: bool = False
    service: str = ""


class Collector:
    """Listens while its block lasts; `spans` is what came."""

    def __init__(self) -> None:
        self.spans: list[Exported] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="collector", daemon=True)

    @property
    def url(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def trace(self, trace_id: str) -> list[Exported]:
        """The spans of a trace by the time they began."""
        return sorted(
            (span for span in list(self.spans) if span.trace_id == trace_id), key=lambda span: span.started_at
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collected = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                is_traces = self.path == "/v1/traces"
                if is_traces:
                    collected.extend(_spans(body))
                self.send_response(200 if is_traces else 404)
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library calls it
                """Say nothing."""

        return Handler


def _spans(body: bytes) -> list[Exported]:
    return [
        Exported(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            name=span.name,
            kind=span.kind,
            started_at=span.start_time_unix_nano,
            ended_at=span.end_time_unix_nano,
            attributes=_values(span.attributes),
            links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
            is_failed=span.status.code == span.status.STATUS_CODE_ERROR,
            service=str(_values(group.resource.attributes).get("service.name", "")),
        )
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
