"""`docs/tutorial.md` is executed as it is written: in an empty folder, with the installed wheel, terminal by terminal.

Nothing is downloaded: the wheel of the checkout is installed alone into an environment of its own, beside links to the
distributions that it and pytest ask for. Only the ports that the text names are others, for somebody may have those.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from installed import files_of
from processes import children, is_running
from waiting import PATIENCE_SECONDS, eventually
from walkthrough import CTRL_C, Command, Console, File, Names, steps
from wheels import ROOT, build_wheel

from app.sandbox.process import clean_environment, free_port

TUTORIAL = ROOT / "docs" / "tutorial.md"
#: What whoever follows the tutorial installs.
THEIRS = ("innervate[sandbox]", "pytest")
#: Ports of the text: the worker's by default, and the model's.
WORKER_PORT, MODEL_PORT = "6066", "8123"
#: Says that a command has ended, and how.
ENDED = "the command ended with"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, what it depends on, and pytest; returns its folder of programs."""
    folder = tmp_path_factory.mktemp("environment")
    home, links = folder / "venv", folder / "links"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=PATIENCE_SECONDS)
    programs = home / "bin"
    quietly = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", programs / "python", "install", *quietly, build_wheel(folder)],
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    links.mkdir()
    for name in sorted(files_of(THEIRS, besides="innervate")):
        (links / name).symlink_to(Path(sysconfig.get_path("purelib")) / name)
    [site] = home.glob("lib/python*/site-packages")
    (site / "links.pth").write_text(f"{links}\n")
    _, _, script = Path(sys.executable).with_name("pytest").read_text().partition("\n")
    (programs / "pytest").write_text(f"#!{programs / 'python'}\n{script}")
    (programs / "pytest").chmod(0o755)
    return programs


@dataclass
class Terminals:
    """Terminals in one folder: one shell that waits for each command, and named ones whose commands run on."""

    folder: Path
    logs: Path
    environment: dict[str, str]
    ports: dict[str, str]
    stack: ExitStack
    names: Names = field(default_factory=Names)
    _running: dict[str, tuple[subprocess.Popen[bytes], Path]] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        self._shell, self._output = self._start(["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE)

    def follow(self, step: Console) -> None:
        """Do what a console says, and compare what it shows."""
        for command in step.commands:
            if command.line == CTRL_C:
                self._interrupt(step.terminal)
            elif step.terminal:
                self._run_on(step.terminal, command)
            elif step.again:
                self._repeat(command)
            else:
                assert self._shows(command), self._told(command)

    def _repeat(self, command: Command) -> None:
        told = f"{command.line} to show {command.shown}"
        eventually(lambda: self._shows(command), what=told, pause_seconds=1)

    def _shows(self, command: Command) -> bool:
        assert self._shell.stdin is not None
        before = self._output.stat().st_size
        # It reads nothing of what is typed later.
        self._shell.stdin.write(f"{{ {self._typed(command)}\n}} </dev/null; echo {ENDED} $?\n".encode())
        self._shell.stdin.flush()
        written = eventually(lambda: self._written(before), lambda text: ENDED in text, what=command.line)
        self._last, _, code = written.rpartition(ENDED)
        return int(code) == 0 and self.names.shows(command.shown, self._last)

    def _written(self, before: int) -> str:
        return self._output.read_bytes()[before:].decode()

    def _told(self, command: Command) -> str:
        return f"$ {command.line}\nshould show:\n{os.linesep.join(command.shown)}\nand showed:\n{self._last}"

    def _run_on(self, terminal: str, command: Command) -> None:
        process, output = self._start(["bash", "-c", self._typed(command)], stdin=subprocess.DEVNULL)
        self._running[terminal] = process, output

        def shows() -> bool:
            assert process.poll() is None, f"{command.line} ended:\n{output.read_text()}"
            return self.names.shows(command.shown, output.read_text(), runs_on=True)

        eventually(shows, what=f"{command.line} to show {command.shown}")

    def _interrupt(self, terminal: str) -> None:
        process, output = self._running.pop(terminal)
        started = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0, output.read_text()
        assert not {pid for pid in started if is_running(pid)}

    def _start(self, command: list[str], stdin: int) -> tuple[subprocess.Popen[bytes], Path]:
        self._count += 1
        output = self.logs / f"{self._count}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=stdin,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.stack.callback(_end, process)
        return process, output

    def _typed(self, command: Command) -> str:
        line = self.names.given(command.line)
        for told, ours in self.ports.items():
            # Alone: an id or a hash may have the same digits.
            line = re.sub(rf"(?<![\w-]){told}(?![\w-])", ours, line)
        return line


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_SECONDS)
    if process.stdin is not None:
        process.stdin.close()


@pytest.fixture
def terminals(tmp_path: Path, environment: Path) -> Iterator[Terminals]:
    folder, logs = tmp_path / "robots", tmp_path / "logs"
    folder.mkdir()
    logs.mkdir()
    ports = {WORKER_PORT: str(free_port()), MODEL_PORT: str(free_port())}
    clean = clean_environment()
    variables = {
        **clean,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{environment}:{clean['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "WEB_PORT": ports[WORKER_PORT],
    }
    with ExitStack() as stack:
        yield Terminals(folder, logs, variables, ports, stack)


def test_the_tutorial_does_what_it_says(terminals: Terminals) -> None:
    followed = list(steps(TUTORIAL.read_text(encoding="utf-8")))
    assert {each.terminal for each in followed if isinstance(each, Console)} == {"", "services", "worker", "model"}

    for step in followed:
        if isinstance(step, File):
            path = terminals.folder / step.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        else:
            terminals.follow(step)
