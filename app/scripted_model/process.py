"""The scripted model in a process of its own, for the demo: a model's server that fails a worker at random.

It ends with whoever started it, like every service of the sandbox.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

from app.sandbox.process import LOOPBACK, Service, clean_environment
from app.sandbox.worker_process import CHECKOUT

#: The model's name, and so the brain's in decisions and in the report.
MODEL: Final = "scripted"
#: Requests the demo's model does not answer as asked.
MISBEHAVE: Final = 0.2


class ScriptedModelProcess(Service):
    """`python -m app.scripted_model.server` on a port of its own; `misbehave` is a probability.

    `latency_seconds` is how long it thinks.
    """

    name: ClassVar[str] = "scripted model"

    def __init__(self, directory: Path, *, seed: int, misbehave: float, latency_seconds: float = 0.0) -> None:
        super().__init__(directory)
        self._options = ["--seed", str(seed), "--misbehave", str(misbehave)]
        self._options += ["--latency-seconds", str(latency_seconds)]

    @property
    def url(self) -> str:
        """What `LLM_URL` is set to."""
        return f"http://{self.address}/v1"

    def prepare(self) -> None:
        """It keeps nothing."""

    def command(self) -> list[str]:
        """The command line of `app.scripted_model.server`."""
        return [sys.executable, "-m", "app.scripted_model.server", "--port", str(self.port), *self._options]

    def environment(self) -> Mapping[str, str]:
        """Nothing of the caller's own environment."""
        return {**clean_environment(), "PYTHONUNBUFFERED": "1"}

    @property
    def log_path(self) -> Path:
        """Beside the directory, so that it stays when the model is released."""
        return self.directory.with_suffix(".log")

    def working_directory(self) -> Path:
        """The checkout."""
        return CHECKOUT

    def answers(self) -> bool:
        """Whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0


@contextmanager
def scripted_model(directory: Path, *, seed: int) -> Iterator[Mapping[str, str]]:
    """Run a model that misbehaves in every way it can; gives the settings of a worker that asks it.

    Its time-outs are short, so that a demo full of them ends soon. Raises SandboxError when it does not start.
    """
    model = ScriptedModelProcess(directory.absolute(), seed=seed, misbehave=MISBEHAVE)
    model.log_path.unlink(missing_ok=True)
    try:
        model.start()
        yield {
            "LLM_URL": model.url,
            "LLM_MODEL": MODEL,
            "LLM_TIMEOUT_SECONDS": "1",
            "LLM_DEADLINE_SECONDS": "4",
        }
    finally:
        model.release()
