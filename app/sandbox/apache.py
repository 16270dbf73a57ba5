"""Apache Kafka: one KRaft node, broker and controller in one process, on loopback.

Topics, records and committed offsets survive ``stop``, ``kill`` and ``restart``. The jars come from Maven
Central once and stay in a cache outside the repository; an interrupted download leaves the cache as it was.
Needs Java 17 or newer, and Maven for the download.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from app.sandbox.broker import Broker
from app.sandbox.patience import MOST_SECONDS
from app.sandbox.process import LOOPBACK, SandboxError, free_port

#: What Kafka 4 brokers ask for: https://kafka.apache.org/documentation/#java
JAVA_VERSION = 17

#: A hundred megabytes over a slow line; a download that hangs ends as well.
_DOWNLOAD_SECONDS = 1800.0

_POM = Path(__file__).parents[2] / "deploy" / "kafka" / "pom.xml"

#: The session timeout (default 9 s) is how long a killed broker that is back is turned away. Records may say that they
#: are years old: with a retention they would be deleted half a minute after the start.
_SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
log.retention.ms=-1
"""

#: Printed, because the guard sends everything printed to the log file, start errors of Java included.
_LOG4J_PROPERTIES = """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
"""


class ApacheBroker(Broker):
    """The broker Innervate is meant for."""

    name = "apache-kafka"

    def __init__(
        self,
        directory: Path,
        properties: Mapping[str, str] = MappingProxyType({}),
        users: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Find Java and the jars, downloaded the first time; raise SandboxError when they are missing.

        ``properties`` come on top of the broker's settings, for instance an authorizer. ``users`` are those who log in
        by SCRAM, with their passwords.
        """
        super().__init__(directory)
        self._properties = properties
        self._users = users
        self._java = find_java()
        self._jars = ensure_jars()

    def take_ports(self) -> None:
        """Choose one for clients and one for the controller."""
        super().take_ports()
        self._controller_port = free_port()

    def kill(self) -> None:
        """End with SIGKILL; ``restart`` goes on with the same data."""
        self.send(signal.SIGKILL)

    def prepare(self) -> None:
        """Write the settings and format the storage."""
        self._settings.write_text(
            _SERVER_PROPERTIES.format(
                host=LOOPBACK,
                port=self.port,
                controller_port=self._controller_port,
                data=self.directory / "data",
            )
            + "".join(f"{name}={value}\n" for name, value in self._properties.items())
        )
        self._log4j.write_text(_LOG4J_PROPERTIES)
        arguments = ["format", "-t", str(uuid.uuid4()), "-c", str(self._settings), *self._scram()]
        # A run of one second: the first compiler is enough.
        self.run_tool(self._run_java(["-XX:TieredStopAtLevel=1"], "kafka.tools.StorageTool", arguments))

    def command(self) -> list[str]:
        """Return the command line of the broker."""
        # It lives for minutes and has little to do: the second compiler and parallel collectors would cost it twice as
        # much of the processor as its work does.
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        return self._run_java(["-Xms256m", "-Xmx512m", *quick], "kafka.Kafka", [str(self._settings)])

    def _scram(self) -> list[str]:
        mechanisms = ("SCRAM-SHA-256", "SCRAM-SHA-512")
        users = self._users.items()
        known = [f"{each}=[name={name},password={password}]" for each in mechanisms for name, password in users]
        return [word for one in known for word in ("--add-scram", one)]

    @property
    def _settings(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.directory / "log4j2.properties"

    def _run_java(self, options: list[str], main_class: str, arguments: list[str]) -> list[str]:
        options = [
            *options,
            f"-Dlog4j2.configurationFile={self._log4j}",
            # What Java keeps in the temporary directory would stay there after a SIGKILL.
            f"-Djava.io.tmpdir={self.directory}",
            "-XX:-UsePerfData",
        ]
        return [self._java, *options, "-cp", f"{self._jars}/*", main_class, *arguments]


def kafka_version() -> str:
    """Return the version of Apache Kafka the pom names."""
    version = re.search(r"<kafka\.version>([^<]+)<", _POM.read_text())
    if version is None:
        raise SandboxError(f"{_POM} names no kafka.version")
    return version[1]


def find_java() -> str:
    """Return the Java to run, from JAVA_HOME or PATH; raise SandboxError when it is missing or too old."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    needed = f"Apache Kafka {kafka_version()} needs Java {JAVA_VERSION} or newer"
    if java is None:
        raise SandboxError(f"{needed}, and no java was found {'in JAVA_HOME' if home else 'on the PATH'}")
    asked = [java, "-version"]
    told = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=MOST_SECONDS).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA_VERSION:
        raise SandboxError(f"{needed}, and {java} is {told.partition(chr(10))[0] or 'unknown'}")
    return java


def ensure_jars() -> Path:
    """Return the directory with the jars of the pom, downloading them with Maven when the cache has none.

    The cache is ``$INNERVATE_CACHE``, else ``innervate`` below ``$XDG_CACHE_HOME`` or ``~/.cache``. A
    directory there carries the version and a digest of the pom, so that a changed pom never runs with older
    jars. Raise SandboxError when Maven is missing or fails.
    """
    digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    jars = _cache() / f"kafka-{kafka_version()}-{digest}"
    if not jars.exists():
        _download(jars)
    return jars


def _cache() -> Path:
    if own := os.environ.get("INNERVATE_CACHE"):
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "innervate"


def _download(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise SandboxError(f"Apache Kafka {kafka_version()} is downloaded with Maven, and no mvn was found on the PATH")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{jars.name}-", dir=jars.parent) as partial:
        target = Path(partial) / "jars"
        done = subprocess.run(  # noqa: S603
            [
                *[maven, "-q", "-B", "--strict-checksums", "-f", str(_POM), "dependency:copy-dependencies"],
                *["-DincludeScope=runtime", f"-DoutputDirectory={target}"],
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
        )
        if done.returncode != 0:
            lines = done.stdout.splitlines() or ["it said nothing"]
            error = next((line for line in lines if "ERROR" in line), lines[0])
            raise SandboxError(f"Maven could not download Apache Kafka {kafka_version()}: {error}")
        try:
            target.rename(jars)
        except OSError:
            # Another process was faster: its copy is complete, because it was renamed too.
            if not jars.is_dir():
                raise
