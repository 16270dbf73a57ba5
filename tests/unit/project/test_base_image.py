"""`deploy/base-image` pins the base of the image to the digest its tag has now."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
MANIFEST = '{"an": "index"}'
NEWEST = hashlib.sha256(MANIFEST.encode()).hexdigest()


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    """One that is pinned to something older, beside a registry that answers with a manifest."""
    skopeo = tmp_path / "skopeo"
    skopeo.write_text(f"#!/bin/sh\n[ \"$*\" = 'inspect --raw docker://python:3.11' ] && printf '%s' '{MANIFEST}'\n")
    skopeo.chmod(0o755)
    file = tmp_path / "Dockerfile"
    file.write_text(f"# published on 2026-01-01; more\nARG BASE=python:3.11@sha256:{'0' * 64}\nFROM ${{BASE}}\n")
    return file


def base_image(dockerfile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "deploy" / "base-image"), *arguments],
        env={"PATH": f"{dockerfile.parent}:/usr/bin:/bin", "DOCKERFILE": str(dockerfile)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_the_digest_of_the_tag_is_written_with_the_day(dockerfile: Path) -> None:
    assert base_image(dockerfile).returncode == 0
    day, pinned, rest = dockerfile.read_text().splitlines()
    assert re.fullmatch(r"# published on 20\d\d-\d\d-\d\d; more", day)
    assert not day.startswith("# published on 2026-01-01")
    assert (pinned, rest) == (f"ARG BASE=python:3.11@sha256:{NEWEST}", "FROM ${BASE}")


def test_nothing_is_written_when_it_is_only_asked_whether_the_tag_has_moved_on(dockerfile: Path) -> None:
    before = dockerfile.read_text()
    assert base_image(dockerfile, "--check").returncode == 1
    assert dockerfile.read_text() == before
    assert base_image(dockerfile).returncode == 0
    assert base_image(dockerfile, "--check").returncode == 0


def test_nothing_is_written_where_no_registry_answers(dockerfile: Path) -> None:
    (dockerfile.parent / "skopeo").write_text("#!/bin/sh\nexit 1\n")
    before = dockerfile.read_text()
    assert base_image(dockerfile).returncode != 0
    assert dockerfile.read_text() == before


def test_every_stage_of_the_image_is_built_on_a_base_that_is_pinned_by_its_digest() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    [base] = [line for line in lines if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"ARG BASE=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"${BASE}"}


def test_what_builds_the_wheel_is_what_the_tests_are_run_with() -> None:
    said = dict(re.findall(r"(setuptools|wheel)==([0-9.]+)", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert said == dict(re.findall(r"^(setuptools|wheel)==([0-9.]+)", lock, re.MULTILINE))
