"""The Prometheus of `make test-alerts` (`.ci/prometheus`): the one that is there, or Debian's, or no test at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

PROGRAM = Path(__file__).parents[3] / ".ci" / "prometheus"
#: Programs of the machine that it may use beside those of a test.
TOOLS = ("bash", "env", "dirname")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that stands for the machine; it has no Prometheus."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    return tmp_path


def add(folder: Path, name: str, lines: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)


def run(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM)],
        env={"PATH": str(folder), **more},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def apt_get(folder: Path, installing: str) -> None:
    """One that writes down what it is told, and runs this to install."""
    add(
        folder,
        "apt-get",
        f'echo "$DEBIAN_FRONTEND $*" >>{folder}/asked; case "$*" in *prometheus*) {installing};; esac',
    )


def test_the_one_that_is_there_is_used(programs: Path) -> None:
    add(programs, "prometheus")
    add(programs, "promtool")
    apt_get(programs, "exit 1")

    done = run(programs)

    assert (done.returncode, done.stdout) == (0, f"{programs}/prometheus\n")
    assert not (programs / "asked").exists()


def test_root_gets_debians_without_being_asked_anything_also_where_promtool_alone_is_missing(programs: Path) -> None:
    add(programs, "id", "echo 0")
    add(programs, "prometheus")
    apt_get(programs, f"echo '#!/bin/sh' >{programs}/promtool; /bin/chmod 755 {programs}/promtool")

    done = run(programs)

    assert (done.returncode, done.stdout) == (0, f"{programs}/prometheus\n")
    asked = (programs / "asked").read_text().splitlines()
    assert len(asked) == 2
    assert all(line.startswith("noninteractive ") for line in asked)


@pytest.mark.parametrize("installing", ["exit 100", "exit 0"])
def test_it_fails_where_nothing_was_installed(programs: Path, installing: str) -> None:
    add(programs, "id", "echo 0")
    apt_get(programs, installing)

    assert run(programs).returncode != 0


def test_who_may_not_install_reads_what_to_do(programs: Path) -> None:
    add(programs, "id", "echo 1000")
    apt_get(programs, "exit 0")

    done = run(programs)

    assert (done.returncode, (programs / "asked").exists()) == (1, False)
    assert "install the package prometheus, or name one with PROMETHEUS=path" in done.stderr


def test_one_that_is_named_and_missing_is_no_reason_to_take_another(programs: Path) -> None:
    add(programs, "prometheus")
    add(programs, "promtool")

    done = run(programs, PROMETHEUS=f"{programs}/other")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"at {programs}/other" in done.stderr
