"""llama.cpp's server of the OpenAI API in a process of its own, with a random model; gone with the test."""

from __future__ import annotations

import http.client
import signal
import sys
from pathlib import Path
from typing import ClassVar

from random_model import write_random_model

from app.sandbox.process import LOOPBACK, Service

#: The name by which the server calls its model, and the only key it takes.
MODEL = "random-55k"
API_KEY = "sesame"
#: Tokens of one request with its answer.
CONTEXT = 4096
#: Requests answered at a time; others wait.
SLOTS = 4


class LlamaServer(Service):
    """llama.cpp with a random model, the same for the same seed."""

    name: ClassVar[str] = "llama.cpp"

    def __init__(self, directory: Path, *, seed: int) -> None:
        super().__init__(directory)
        self._seed = seed

    @property
    def url(self) -> str:
        """What `LLM_URL` is set to."""
        return f"http://{self.address}/v1"

    def prepare(self) -> None:
        write_random_model(self._model, seed=self._seed)

    def command(self) -> list[str]:
        return [sys.executable, __file__, str(self._model), str(self.port)]

    def answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK  # not while it loads the model
        except OSError:
            return False
        finally:
            connection.close()

    @property
    def _model(self) -> Path:
        return self.directory / "model.gguf"


def serve(model: str, port: int) -> None:
    """Serve until killed."""
    import xllamacpp  # noqa: PLC0415 - by the server's process alone

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {MODEL}
    parameters.hostnames = [LOOPBACK]
    parameters.port = port
    parameters.api_keys = [API_KEY]
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * CONTEXT
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    # More than there are connections: each takes a thread until five seconds after its last request, and with too few
    # threads a new connection waits for that.
    parameters.n_threads_http = 16 * SLOTS
    running = [xllamacpp.Server(parameters)]  # it ends when it is forgotten
    while running:
        signal.pause()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
