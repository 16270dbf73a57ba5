"""The audit of dependencies (`.ci/audit`): a known vulnerability fails it, and so does knowing nothing, otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE_SECONDS

PROGRAM = Path(__file__).parents[3] / ".ci" / "audit"

CLEAN = {"name": "jinja2", "version": "3.1.6", "vulns": []}
HURT = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.3"]}]}
UNKNOWN = {"name": "jinja2", "version": "9.9", "skip_reason": "Dependency not found on PyPI"}


def audited(directory: Path, answer: object, *, code: int = 0) -> tuple[int, str]:
    """The exit code and what is said where pip-audit answers this."""
    (directory / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer), encoding="utf-8")
    fake = directory / "pip-audit"
    fake.write_text(f"#!/bin/sh\necho 'connection refused' >&2\ncat {directory}/answer\nexit {code}\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "requirements.lock"],
        env={"PATH": "/usr/bin:/bin", "PIP_AUDIT": str(fake)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def of(*dependencies: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(dependencies), "fixes": []}


def test_no_known_vulnerability_passes(tmp_path: Path) -> None:
    assert audited(tmp_path, of(CLEAN)) == (0, "requirements.lock: no known vulnerability in 1 versions\n")


@pytest.mark.parametrize("others", [(), (CLEAN,), (UNKNOWN,)])
def test_a_known_one_fails_and_is_named_with_what_mends_it(tmp_path: Path, others: tuple[dict[str, Any], ...]) -> None:
    code, said = audited(tmp_path, of(*others, HURT), code=1)
    assert code == 1
    assert "requirements.lock: jinja2 3.1.2: PYSEC-1, mended in 3.1.3\n" in said


@pytest.mark.parametrize("answer", ["", "no json", "[]", {"fixes": []}])
def test_a_service_that_does_not_answer_is_said_and_no_success(tmp_path: Path, answer: object) -> None:
    code, said = audited(tmp_path, answer, code=1)
    assert code == 2
    assert "requirements.lock: not audited, the advisory service does not answer: connection refused\n" in said


def test_versions_that_nobody_knows_are_no_success(tmp_path: Path) -> None:
    code, said = audited(tmp_path, of(CLEAN, UNKNOWN))
    assert code == 2
    assert "the advisory service does not know 1 of 2 versions" in said


def test_an_empty_lock_is_no_success(tmp_path: Path) -> None:
    code, said = audited(tmp_path, of())
    assert code == 2
    assert "no version is in it" in said
