"""`make demo` and `make up` as processes: what they write, how they end, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from observe import eventually, get, scored, settled
from processes import children, end, is_open
from shop import send, series
from waiting import PATIENCE_SECONDS

from agents.model.errors import RejectedReply, Unavailable, Violation
from app.story import problems_of


@contextmanager
def up(directory: Path, provider: str) -> Iterator[subprocess.Popen[bytes]]:
    """`make up` with `directory` as the checkout's `var/`; whatever happens, it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.sandbox.up", "--provider", provider],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


CHECKOUT = Path(__file__).parents[2]
#: How long anything took.
OTHERWISE_ANOTHER_TIME = {"commit_to_publish_ms_p50", "commit_to_publish_ms_p99"}


def plain(line: str) -> str:
    """A line without the branches of a tree, the width of its columns and the date, which are others in every run."""
    words = " ".join(line.strip(" │├└─").split())
    return re.sub(r"\b\d\d [A-Z][a-z]{2} \d\d:\d\d\b", "DD Mon hh:mm", words)


def addresses(directory: Path) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((directory / "var/sandbox.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found

    return eventually(look) or {}


@pytest.fixture(scope="module", autouse=True)
def demo(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The demo as README shows it, running while `make up` is tested; the directory in which it writes `var/`."""
    directory = tmp_path_factory.mktemp("demo")
    with subprocess.Popen(
        [sys.executable, "-m", "app.demo", "--provider", provider],
        cwd=directory,
        env=os.environ | {"COLUMNS": "200"},  # no line is broken or cut short
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        try:
            yield run, directory
        finally:
            run.terminate()


@pytest.fixture(scope="module")
def demo_ended(demo: tuple[subprocess.Popen[str], Path]) -> tuple[int, str, dict[str, Any]]:
    """The demo's exit code, what it printed and its report."""
    process, directory = demo
    told, _ = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, told, json.loads((directory / "var/demo-report.json").read_bytes())


def test_up_serves_a_plain_client_until_ctrl_c_and_leaves_nothing(tmp_path: Path, provider: str) -> None:
    payments = series("up", 2, 5)
    with up(tmp_path, provider) as process:
        found = addresses(tmp_path)
        asyncio.run(send(found["kafka"], [payment.structured() for payment in payments]))
        settled(found["database_url"], [payment.event_id for payment in payments])
        scores = {event_id: len(events) for event_id, events in scored(found["kafka"]).items()}
        assert get(found["web_url"], "/health/ready")[0] == 200

        services = children(process.pid)
        assert len(services) >= 4  # PostgreSQL and the broker, each with its guard; then the worker
        assert end(process, signal.SIGINT, services=services) == (0, set())

    assert (set(found), found["provider"]) == ({"kafka", "provider", "database_url", "web_url"}, provider)
    assert scores == {payment.event_id: 1 for payment in payments}
    assert not (tmp_path / "var/sandbox.json").exists()
    for address in (found["kafka"], urlsplit(found["database_url"]).netloc.rpartition("@")[2], found["web_url"][7:]):
        assert not is_open(address)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_up_can_be_ended_while_it_starts(tmp_path: Path, provider: str, number: signal.Signals, code: int) -> None:
    with up(tmp_path, provider) as process:
        # Some of them may be tools that end by themselves.
        services = eventually(lambda: children(process.pid), lambda found: len(found) >= 4)

        assert end(process, number, services=services) == (code, set())

    assert not (tmp_path / "var/sandbox.json").exists()


def test_the_demo_ends_with_nothing_lost_or_doubled_and_a_report(
    demo_ended: tuple[int, str, dict[str, Any]], provider: str
) -> None:
    code, told, report = demo_ended

    assert code == 0, told
    *_, verdict, last = told.splitlines()
    assert verdict == "lost 0 duplicates 0"
    assert last == "the case file of one failure, to open in a browser: var/demo-case.html"
    assert report["events_in"] > 220 * 5
    assert 0 <= report["commit_to_publish_ms_p50"] <= report["commit_to_publish_ms_p99"]
    assert (report["brains"], report["fallbacks"]) == ({"rules": report["decisions"]}, {})
    exact = ("provider", "duplicates", "lost", "ledger_balanced", "refunds_over_captures", "over_refunds")
    assert {name: report[name] for name in (*exact, "broken_promises")} == {
        "provider": provider,
        "duplicates": 0,
        "lost": 0,
        "ledger_balanced": True,
        "refunds_over_captures": 0,
        "over_refunds": 0,
        "broken_promises": [],
    }
    assert report["failures"] > 2 * 40
    assert report["given_back"].keys() <= report["owed"].keys()
    assert report["recovery"]["split_tender"] == {"right": 1}
    assert (report["unescalated"], report["packed_unpaid"], report["tone_violations"]) == (0, 0, 0), report["mistakes"]
    assert report["root_cause_top1"] <= report["root_cause_top3"]
    assert report["root_cause_top1"] >= 0.9, report["mistakes"]
    assert report["recovery_correct"] >= 0.9, report["mistakes"]
    assert report["refunds"] > 0
    assert report["decisions"] > report["messages_published"] > 3 * 220
    assert report["dead_letters"] > 0
    assert (report["replayed"], report["replay_same"]) == (report["decisions"], True)
    assert int(re.findall(r"(\d+) FraudScored\b", told)[0]) >= 200
    assert any("RefundIssued" in line for line in told.splitlines() if line.startswith("    "))
    # Two screens, of 30 lines each.
    assert len(told.splitlines()) <= 60


def test_the_demo_leaves_a_case_file_of_the_failure_it_shows_with_every_hash_right(
    demo: tuple[subprocess.Popen[str], Path], demo_ended: tuple[int, str, dict[str, Any]]
) -> None:
    _, told, _ = demo_ended
    [order] = re.findall(r"one payment and what followed from it: (\S+)", told)
    case = (demo[1] / "var/demo-case.html").read_bytes()

    assert problems_of(case) == []
    assert order.encode() in case
    assert b"RefundIssued" in case


def test_what_the_readme_shows_of_the_demo_is_what_it_prints(demo_ended: tuple[int, str, dict[str, Any]]) -> None:
    _, told, report = demo_ended
    printed = {plain(line) for line in told.splitlines()}
    readme = (CHECKOUT / "README.md").read_text()
    shown = readme.partition("$ make demo\n")[2].partition("\n```")[0].splitlines()

    def is_printed(line: str) -> bool:
        # What is left out stands as an ellipsis, at the end of a line or as a line.
        if line.endswith("…"):
            return any(each.startswith(plain(line.removesuffix("…"))) for each in printed)
        return plain(line) in printed

    assert [line for line in shown if not is_printed(line)] == []
    figures = {line.split()[0] for line in shown} & report.keys()
    assert {"events_in", "decisions", "messages_published", "replayed"} < figures
    assert not figures & OTHERWISE_ANOTHER_TIME


@pytest.mark.apache
def test_a_demo_with_a_model_that_misbehaves_loses_nothing_and_explains_every_fallback(
    provider: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "app.demo", "--provider", provider, "--llm", "scripted"]

    run = subprocess.run(
        [*command, "--orders", "48", "--failures", "12", "--verbose"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert run.returncode == 0, run.stdout
    assert "lost 0 duplicates 0" in run.stdout.splitlines()[-3:]
    report = json.loads((tmp_path / "var/demo-report.json").read_bytes())
    lines = [line.split() for line in run.stdout.splitlines()]
    assert len({line[0] for line in lines if "FraudScored" in line and line[0].startswith("o-")}) >= 40
    figures = {name for name, value in report.items() if not isinstance(value, list)}
    assert figures <= {line[0] for line in lines if line}
    assert (report["ledger_balanced"], report["refunds_over_captures"], report["broken_promises"]) == (True, 0, [])
    assert report["over_refunds"] == 0
    assert report["brains"].keys() == {"rules", "scripted"}
    assert (report["replayed"], report["replay_same"]) == (report["decisions"], True)
    assert sum(report["brains"].values()) == report["decisions"]
    reasons = {*Unavailable, *RejectedReply, *Violation}
    assert report["fallbacks"]
    assert report["fallbacks"].keys() <= reasons
    assert sum(report["fallbacks"].values()) <= report["brains"]["rules"]
