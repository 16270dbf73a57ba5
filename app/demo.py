"""The demo: a shop's payments on services of its own, what the agents make of them, and proof that nothing was lost.

Run as `make demo`. Exits 1 when a promise is broken; the report is in `var/demo-report.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from app.checker import Findings, check
from app.evidence import committed_decisions, count_dead_letters, published_messages
from app.sandbox import Sandbox, SandboxError
from app.scenario import Produced, payments
from app.signals import end_in_order
from app.worker_process import WorkerProcess

REPORT: Final = Path("var/demo-report.json")

#: Give up when nothing has moved for this long, in seconds.
STALLED_AFTER_SECONDS: Final = 60.0

#: Slow enough to read along, in seconds.
SECONDS_BETWEEN_RECORDS: Final = 0.01

_COLOURS: Final = {"approve": "green", "review": "yellow", "block": "bold red"}


@dataclass(slots=True)
class Story:
    """What the demo saw happen."""

    events_in: int = 0
    due: set[str] = field(default_factory=set)
    #: When each message of the agents was first seen, by its id (seconds since the epoch).
    seen_at: dict[str, float] = field(default_factory=dict)
    last_news_at: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether a decision was seen for every payment."""
        return len(self.seen_at) >= len(self.due)

    @property
    def is_stalled(self) -> bool:
        """Whether nothing has moved for too long."""
        return time.monotonic() - self.last_news_at > STALLED_AFTER_SECONDS


async def tell(sandbox: Sandbox, records: Sequence[Produced], console: Console) -> Story:
    """Send the payments, print each decision as it is published, and return when all are there or nothing moves."""
    story = Story(due={f"PaymentSucceeded-{r.payment_id}" for r in records if r.payment_id})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        sent = progress.add_task("sent", total=len(records))
        decided = progress.add_task("decided and published", total=len(story.due))
        consumer = AIOKafkaConsumer("payments", bootstrap_servers=sandbox.kafka, auto_offset_reset="earliest")
        await consumer.start()
        sending = asyncio.create_task(_send(sandbox, records, story, lambda: progress.advance(sent)))
        try:
            while not (sending.done() and (story.is_over or story.is_stalled)):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    for record in batch:
                        if _notice(record, story, console):
                            progress.advance(decided)
            await sending
        finally:
            sending.cancel()
            await consumer.stop()
    return story


async def _send(sandbox: Sandbox, records: Sequence[Produced], story: Story, advance: Any) -> None:
    async with AIOKafkaProducer(bootstrap_servers=sandbox.kafka, acks="all") as producer:
        for record in records:
            await asyncio.sleep(SECONDS_BETWEEN_RECORDS)
            await producer.send_and_wait(record.topic, key=record.key, value=record.value, headers=list(record.headers))
            story.events_in += 1
            story.last_news_at = time.monotonic()
            advance()


def _notice(record: ConsumerRecord, story: Story, console: Console) -> bool:
    """Print a decision that was published; False for anything else and for copies."""
    if not record.value or b'"FraudScored"' not in record.value:
        return False
    event = orjson.loads(record.value)
    if event["id"] in story.seen_at:
        return False
    story.seen_at[event["id"]] = time.time()
    story.last_news_at = time.monotonic()
    data = event["data"]
    line = Text.assemble(
        f"{data['payment_id']}  {data['customer_id']}  ",
        (f"{data['verdict']:8}", _COLOURS[data["verdict"]]),
        f"{data['score']:>4}  {'; '.join(data['reasons']) or 'nothing unusual'}",
    )
    console.print(line, no_wrap=True, overflow="ellipsis")
    return True


async def report_on(sandbox: Sandbox, story: Story) -> tuple[Mapping[str, Any], Findings]:
    """Read Kafka and PostgreSQL anew and compare them with what was sent."""
    decided, committed_at = await asyncio.to_thread(committed_decisions, sandbox.database_url)
    published = await published_messages(sandbox.kafka, ["payments"], source="urn:innervate:")
    findings = check(agent="fraud", due=story.due, decided=decided, published=published)
    delays = sorted(
        1000 * (seen - committed_at[message_id])
        for message_id, seen in story.seen_at.items()
        if message_id in committed_at
    )
    return {
        "provider": sandbox.provider,
        "events_in": story.events_in,
        "decisions": len(decided),
        "messages_published": len(published),
        "duplicates": findings.duplicates,
        "lost": findings.lost,
        "dead_letters": await asyncio.to_thread(count_dead_letters, sandbox.database_url),
        "commit_to_publish_ms_p50": _percentile(delays, 0.50),
        "commit_to_publish_ms_p99": _percentile(delays, 0.99),
        "broken_promises": list(findings.examples()),
    }, findings


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None


def _show(report: Mapping[str, Any], console: Console) -> None:
    console.rule("report")
    for name, value in report.items():
        if name != "broken_promises":
            console.print(f"{name:28} {value}", highlight=False)
    for line in report["broken_promises"]:
        console.print(line, style="bold red")
    console.print(f"\nlost {report['lost']} duplicates {report['duplicates']}", style="bold")


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="same seed, same payments")
    parser.add_argument("--payments", type=int, default=300)
    parser.add_argument("--customers", type=int, default=50)
    parser.add_argument("--provider", choices=("tansu", "apache"), default="tansu", help="which Kafka broker")
    arguments = parser.parse_args()
    end_in_order()
    console = Console(highlight=False)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)
    records = list(
        payments(
            seed=arguments.seed,
            payments_wanted=arguments.payments,
            customers=arguments.customers,
            start=start,
        )
    )
    try:
        return _run(arguments.provider, records, console)
    except SandboxError as error:
        console.print(f"innervate: {error}", style="bold red")
        return 1


def _run(provider: str, records: Sequence[Produced], console: Console) -> int:
    with (
        console.status("starting PostgreSQL and Kafka") as status,
        Sandbox(Path("var/demo"), provider) as sandbox,
    ):
        status.update("starting the worker: faust -A app worker -l info")
        worker = WorkerProcess(sandbox, Path("var/demo/worker").absolute())
        worker.log_path.unlink(missing_ok=True)
        try:
            worker.start()
            status.stop()
            console.print(f"worker ready at {worker.url}; log in {worker.log_path}")
            story = asyncio.run(tell(sandbox, records, console))
            worker.stop()
            report, findings = asyncio.run(report_on(sandbox, story))
        finally:
            worker.release()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    _show(report, console)
    return 1 if findings.broken else 0


if __name__ == "__main__":
    sys.exit(main())
