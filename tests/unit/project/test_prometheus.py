"""The Prometheus of `make test-alerts` (`.ci/prometheus`): the one that is there, or Debian's, or no test at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from programs import CI, add, add_apt_get, machine
from programs import run as run_program

#: Programs of the machine that it may use beside those of a test.
TOOLS = ("bash", "env", "dirname")

run = partial(run_program, CI / "prometheus")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A machine; it has no Prometheus."""
    return machine(tmp_path, TOOLS)


def test_the_one_that_is_there_is_used(programs: Path) -> None:
    add(programs, "prometheus")
    add(programs, "promtool")
    add_apt_get(programs, "prometheus", "exit 1")

    done = run(programs)

    assert (done.returncode, done.stdout) == (0, f"{programs}/prometheus\n")
    assert not (programs / "asked").exists()


def test_root_gets_debians_without_being_asked_anything_also_where_promtool_alone_is_missing(programs: Path) -> None:
    add(programs, "id", "echo 0")
    add(programs, "prometheus")
    add_apt_get(programs, "prometheus", f"echo '#!/bin/sh' >{programs}/promtool; /bin/chmod 755 {programs}/promtool")

    done = run(programs)

    assert (done.returncode, done.stdout) == (0, f"{programs}/prometheus\n")
    asked = (programs / "asked").read_text().splitlines()
    assert len(asked) == 2
    assert all(line.startswith("noninteractive ") for line in asked)


@pytest.mark.parametrize("installing", ["exit 100", "exit 0"])
def test_it_fails_where_nothing_was_installed(programs: Path, installing: str) -> None:
    add(programs, "id", "echo 0")
    add_apt_get(programs, "prometheus", installing)

    assert run(programs).returncode != 0


def test_who_may_not_install_reads_what_to_do(programs: Path) -> None:
    add(programs, "id", "echo 1000")
    add_apt_get(programs, "prometheus", "exit 0")

    done = run(programs)

    assert (done.returncode, (programs / "asked").exists()) == (1, False)
    assert "install the package prometheus, or name one with PROMETHEUS=path" in done.stderr


def test_one_that_is_named_and_missing_is_no_reason_to_take_another(programs: Path) -> None:
    add(programs, "prometheus")
    add(programs, "promtool")

    done = run(programs, PROMETHEUS=f"{programs}/other")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"at {programs}/other" in done.stderr
