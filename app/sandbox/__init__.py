"""Sandbox: PostgreSQL and a Kafka broker of its own, fresh at every start, gone without trace afterwards.

Both listen on free loopback ports and answer when ``start`` returns. They end with the ``with`` block, on an
exception, on Ctrl-C, and when the process that started them is killed. A process asked to end with SIGTERM
has to turn it into ``SystemExit`` for the block to be left in order. What can fail raises ``SandboxError``:
a wheel, Java or Maven is missing; no port is free; a service ended or stayed silent while starting.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from app.sandbox.apache import ApacheBroker
from app.sandbox.broker import Broker, TansuBroker
from app.sandbox.postgres import Postgres
from app.sandbox.process import LOOPBACK, SandboxError

__all__ = ["PROVIDERS", "ApacheBroker", "Broker", "Postgres", "Sandbox", "SandboxError", "TansuBroker"]

#: The brokers a sandbox can run, by the name of their provider.
PROVIDERS: MappingProxyType[str, Callable[[Path], Broker]] = MappingProxyType(
    {"tansu": TansuBroker, "apache": ApacheBroker}
)

#: Settings of a worker here that nothing else may say, `.env` in the checkout included: one broker, open and alone.
OF_THE_SANDBOX: Mapping[str, str] = MappingProxyType(
    {
        "DATABASE_URL_FILE": "",
        "KAFKA_SECURITY_CERTFILE": "",
        "KAFKA_SECURITY_KEYFILE": "",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "MIGRATE_AT_START": "true",
        "TOPIC_REPLICATION_FACTOR": "1",
        "WEB_BIND": LOOPBACK,
    }
)


class Sandbox:
    """The services a worker needs, as a context manager; several may share a directory.

    All of it is synchronous: a coroutine calls ``start``, ``stop`` and the services' methods in a thread.
    """

    def __init__(self, directory: Path, provider: str = "tansu") -> None:
        """Choose where the data lie while the sandbox runs, and the broker: ``tansu`` or ``apache``."""
        if provider not in PROVIDERS:
            raise SandboxError(f"no broker is called {provider!r}: choose one of {', '.join(PROVIDERS)}")
        self.provider = provider
        self._directory = directory.absolute()
        self._run_directory = self._directory / f"run-{uuid.uuid4().hex}"
        self.postgres = Postgres(self._run_directory / "postgresql")
        self.broker = PROVIDERS[provider](self._run_directory / "kafka")

    @property
    def kafka(self) -> str:
        """Where the broker listens, as ``host:port``."""
        return self.broker.address

    @property
    def database_url(self) -> str:
        """Address of the database ``innervate``, for libpq and everything that takes such a URL."""
        return self.postgres.database_url

    def worker_environment(self) -> dict[str, str]:
        """Return the environment variables that point a worker here and tell it which broker it meets."""
        return {
            **OF_THE_SANDBOX,
            "KAFKA_BROKER": self.kafka,
            "DATABASE_URL": self.database_url,
            "KAFKA_PROFILE": self.provider,
        }

    def start(self) -> None:
        """Start both services with empty data and wait until they answer.

        Raise SandboxError when one does not; nothing is left running then.
        """
        try:
            self._run_directory.mkdir(parents=True)
            self.postgres.start()
            self.broker.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both services, remove their data, and the directory as well when nothing else is in it."""
        for service in (self.broker, self.postgres):
            service.begin_release()
        for service in (self.broker, self.postgres):
            service.release()
        shutil.rmtree(self._run_directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._directory.rmdir()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, whatever ended the block."""
        self.stop()
