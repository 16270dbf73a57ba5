"""Waterfall: follows one payment through a worker of its own, and draws the trace that it exports.

    .venv/bin/python -m benchmarks.waterfall docs/traces.svg

Apache Kafka and PostgreSQL of the sandbox, a scripted model that takes 150 ms to answer, one worker with three agents,
and a collector on 127.0.0.1. The picture is drawn from the exported spans and nothing else; a payment before it has
warmed the worker up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiokafka import AIOKafkaProducer

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from app.scripted_model.process import MODEL, ScriptedModelProcess
from benchmarks.collector import Collector, Exported

#: Ids of the traces, by the payment they follow: the first one warms up.
TRACES: Final = {"warm": "0" * 30 + "aa", "drawn": "4bf92f3577b34da6a3ce929d0e0e4736"}
SENT: Final = "00f067aa0ba902b7"
#: The last span of the story, by its name and how often it is there.
LAST: Final = ("invoke_agent fulfilment", 2)
PATIENCE_SECONDS: Final = 120.0

WIDTH, NAMES, ROW = 980, 300, 24
COLOURS: Final[Mapping[str, str]] = {
    "route": "#6b7280",
    "invoke_agent": "#2563eb",
    "chat": "#9333ea",
    "commit": "#0f766e",
    "send": "#b45309",
}
ATTRIBUTES: Final = (
    "cloudevents.event_type",
    "innervate.decision.outcome",
    "gen_ai.response.model",
    "messaging.destination.name",
)


def payment(event_id: str) -> bytes:
    """A payment as its producer writes it."""
    data = {
        "payment_id": f"pay-{event_id}",
        "order_id": f"order-{event_id}",
        "customer_id": f"customer-{event_id}",
        "amount_minor": 2500,
        "currency": "EUR",
        "method": "card",
        "country": "DE",
        "device_id": "device-1",
    }
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    envelope = {"specversion": "1.0", "id": event_id, "source": "urn:shop:till", "type": "PaymentSucceeded", "time": at}
    return json.dumps({**envelope, "data": data}).encode()


async def send(kafka: str, event_id: str) -> None:
    """Send it, followed by its producer."""
    headers = [("traceparent", f"00-{TRACES[event_id]}-{SENT}-01".encode())]
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait("payments", payment(event_id), key=b"order", headers=headers)


def followed(collector: Collector, trace_id: str) -> Sequence[Exported]:
    """The spans of the trace once the last one is there. Raises TimeoutError."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends_at:
        spans = collector.trace(trace_id)
        if sum(span.name == LAST[0] for span in spans) == LAST[1]:
            return spans
        time.sleep(0.2)
    raise TimeoutError(f"of the trace {trace_id} came {[span.name for span in collector.trace(trace_id)]}")


def run(directory: Path) -> Sequence[Exported]:
    """Follow one payment."""
    with Sandbox(directory / "sandbox", "apache") as sandbox, Collector() as collector:
        model = ScriptedModelProcess(directory / "model", seed=1, misbehave=0.0, latency_seconds=0.15)
        settings = {
            "AGENTS": "confirmation,fraud,fulfilment",
            "BRAINS": "fraud=rules,fulfilment=rules",
            "LLM_URL": model.url,
            "LLM_MODEL": MODEL,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        worker = WorkerProcess(sandbox, directory / "worker", settings)
        try:
            model.start()
            worker.start()
            for event_id, trace_id in TRACES.items():
                asyncio.run(send(sandbox.kafka, event_id))
                spans = followed(collector, trace_id)
            worker.stop()
            return collector.trace(TRACES["drawn"]) or spans
        finally:
            worker.release()
            model.release()


def drawn(spans: Sequence[Exported]) -> str:
    """The spans of a trace as an SVG: each beneath its parent, from when it began to when it ended."""
    began = min(span.started_at for span in spans)
    whole = max(span.ended_at for span in spans) - began
    scale = (WIDTH - NAMES - 90) / whole
    rows = list(_in_order(spans, SENT))
    height = ROW * len(rows) + 58
    title = f"trace {spans[0].trace_id}: {whole / 1e6:.0f} ms from the router to the last span"
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    font = 'font-family="ui-monospace, monospace" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" fill="#111827" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (depth, span) in enumerate(rows):
        top = 38 + ROW * number
        left = NAMES + (span.started_at - began) * scale
        length = max(1.5, (span.ended_at - span.started_at) * scale)
        told = " ".join(str(span.attributes[name]) for name in ATTRIBUTES if name in span.attributes)
        lasted = f"{(span.ended_at - span.started_at) / 1e6:.1f} ms"
        at = f"after {(span.started_at - began) / 1e6:.1f} ms for {lasted}"
        colour = COLOURS[span.name.partition(" ")[0]]
        beside = min(left + length + 5, WIDTH - 85)
        parts += [
            f"<g><title>{escape(f'{span.name} ({told}), {at}')}</title>",
            f'<text x="{10 + 14 * depth}" y="{top + 13}" fill="#111827">{escape(span.name)}</text>',
            f'<rect x="{left:.1f}" y="{top + 2}" width="{length:.1f}" height="14" rx="2" fill="{colour}"/>',
            f'<text x="{beside:.1f}" y="{top + 13}" fill="#4b5563">{lasted}</text></g>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _in_order(spans: Sequence[Exported], parent_id: str, depth: int = 0) -> list[tuple[int, Exported]]:
    rows: list[tuple[int, Exported]] = []
    for span in (span for span in spans if span.parent_id == parent_id):
        rows += [(depth, span), *_in_order(spans, span.span_id, depth + 1)]
    return rows


def main() -> None:
    """Write the picture where the command line says."""
    parser = argparse.ArgumentParser(prog="benchmarks.waterfall", description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path)
    picture = parser.parse_args().picture
    with TemporaryDirectory() as directory:
        picture.write_text(drawn(run(Path(directory))), encoding="utf-8")


if __name__ == "__main__":
    main()
