"""The pytest plugin in a project of somebody else, and in one that does not use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from incident import FILE
from waiting import PATIENCE_SECONDS

CHECKOUT = Path(__file__).parents[4]

USING = """
def test_nothing_is_refunded_twice(replay):
    result = replay("incidents/double_refund.jsonl", agents=["recovery"])
    assert result.is_same, result.explain()

def test_this_fails(replay):
    result = replay("incidents/double_refund.jsonl", agents=["fraud"])
    assert result.is_same, result.explain()
"""
WITH_A_DOMAIN = """
from agents.shop import shop
from agents.shop.events import PaymentSucceeded

PAID = PaymentSucceeded(
    payment_id="p-1", order_id="o-1", customer_id="ada", amount_minor=2000, currency="EUR", method="card",
    country="DE", device_id="d-1",
)

def test_a_small_payment_is_approved(domain):
    [scored] = domain(shop).decide("fraud", PAID).published
    assert (scored.topic, scored.key, scored.data["verdict"]) == ("payments", "o-1", "approve")

def test_an_incident_is_replayed_with_the_agents_of_the_domain(domain):
    result = domain(shop).replay("incidents/double_refund.jsonl", agents=["recovery"])
    assert result.is_same, result.explain()
"""
NOT_USING = """
import sys

def test_nothing_is_imported():
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert "app" in loaded
    assert not loaded & {"agents", "tables", "outbox", "faust", "aiokafka", "rocksdict", "pydantic"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "incidents").mkdir()
    (tmp_path / "incidents" / FILE.name).write_bytes(FILE.read_bytes())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(project: Path, test: str) -> str:
    """What pytest prints. The plugin is named, so that it does not matter whether the checkout is installed."""
    (project / "test_it.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "app.pytest_plugin", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_slice_is_replayed_from_the_root_of_the_project(project: Path) -> None:
    output = run(project, USING)

    assert "1 failed, 1 passed" in output
    assert "nothing was compared: the slice holds no decision of these agents" in output


def test_a_domain_decides_and_replays_without_a_setting(project: Path) -> None:
    assert "2 passed" in run(project, WITH_A_DOMAIN)


def test_whoever_does_not_use_it_pays_nothing_for_it(project: Path) -> None:
    assert "1 passed" in run(project, NOT_USING)
