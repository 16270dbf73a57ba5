"""What the libraries we stand on do wrong, and our design works around: a test that fails here says one was mended.

Each of these is explained in the record of hazards; the workaround may go when its test has to be turned round.
"""

# ruff: noqa: SLF001 - what is wrong lies inside
from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import faust
import faust.streams
import pytest
from faust.transport.consumer import Consumer
from faust.transport.producer import ProducerBuffer
from faust.types import TP, ConsumerMessage, FutureMessage, PendingMessage
from waiting import PATIENCE_SECONDS

from app.composition import create_app
from app.settings import Settings

PLACE = TP("timeline-customer", 0)


@pytest.fixture
async def shop(tmp_path: Path) -> faust.App:
    """An app that is never started; async, because Faust's parts look for an event loop while they are built."""
    return faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(tmp_path))


def offset_to_commit(*, committed: int | None, acknowledged: list[int]) -> int | None:
    """What Faust would commit, asked of the method alone: a whole consumer needs a broker."""
    consumer: Any = SimpleNamespace(
        _committed_offset={PLACE: committed},
        _acked={PLACE: list(acknowledged)},
        _acked_index={PLACE: set(acknowledged)},
        _gap={PLACE: None},
    )
    return Consumer._new_offset(consumer, PLACE)


def message(offset: int) -> ConsumerMessage:
    return ConsumerMessage(
        PLACE.topic, PLACE.partition, offset, timestamp=0.0, timestamp_type=0, headers={}, key=b"k", value=b"v",
        checksum=None, generation_id=0,
    )  # fmt: skip


def pending(channel: Any) -> FutureMessage:
    parts: dict[str, Any] = dict.fromkeys(PendingMessage._fields)
    return FutureMessage(PendingMessage(**parts | {"channel": channel}))


def test_faust_commits_past_an_event_in_flight_next_to_the_committed_offset() -> None:
    assert offset_to_commit(committed=5, acknowledged=[6, 7]) == 8  # 5 is still in flight


def test_faust_commits_past_an_event_in_flight_when_nothing_was_committed_yet() -> None:
    assert offset_to_commit(committed=None, acknowledged=list(range(1, 10))) == 10  # 0 is still in flight


def test_faust_commits_a_contiguous_prefix_rightly() -> None:
    assert offset_to_commit(committed=5, acknowledged=[5, 6]) == 7
    assert offset_to_commit(committed=5, acknowledged=[]) is None


def test_an_event_given_up_is_waited_for_until_it_is_discarded() -> None:
    given_up = message(3)
    consumer: Any = SimpleNamespace(_unacked_messages=WeakSet(), _on_message_in=lambda *_: None)
    Consumer.track_message(consumer, given_up)
    unacked: Any = Consumer.unacked.__get__(consumer)
    assert given_up in unacked
    unacked.discard(given_up)
    assert not consumer._unacked_messages


async def is_acknowledged_by_a_body_that_raises(shop: faust.App, *, noack: bool) -> bool:
    shop.consumer = SimpleNamespace(_unacked_messages=set())  # type: ignore[assignment]
    shop.flow_control.resume()
    stream: Any = shop.stream(shop.channel())
    read = message(4)
    read.incref()
    await stream.channel.put(faust.Event(shop, b"k", b"v", {}, read))
    iterator = aiter(stream.noack() if noack else stream)
    assert await asyncio.wait_for(anext(iterator), timeout=PATIENCE_SECONDS) == b"v"
    with pytest.raises(ZeroDivisionError):
        await iterator.athrow(ZeroDivisionError())
    return read.acked


async def test_an_error_in_the_body_of_a_stream_acknowledges_its_event_unless_told_not_to(shop: faust.App) -> None:
    assert await is_acknowledged_by_a_body_that_raises(shop, noack=False)
    assert not await is_acknowledged_by_a_body_that_raises(shop, noack=True)


def test_the_compiled_streams_are_there() -> None:
    # The pure-Python ones acknowledge what they skip during a rebalance.
    assert faust.streams._CStreamIterator is not None  # type: ignore[attr-defined]


async def test_a_changelog_record_kafka_refuses_is_only_a_warning_but_fails_its_future(
    shop: faust.App, caplog: pytest.LogCaptureFixture
) -> None:
    topic: Any = shop.topic("shop-windows-changelog")
    sent, record = asyncio.get_running_loop().create_future(), pending(topic)
    sent.set_exception(ConnectionError("not sent"))
    with caplog.at_level(logging.WARNING):
        topic._on_published(sent, record, producer=shop.producer, state=None)
    assert isinstance(record.exception(), ConnectionError)
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]


async def test_flushing_the_producers_buffer_gives_up_on_a_slow_broker(shop: faust.App) -> None:
    class Slow:
        async def publish_message(self, _: Any, **__: Any) -> None:
            await asyncio.Event().wait()

    buffer = ProducerBuffer()
    buffer.app = shop
    for _ in range(2):
        buffer.put(pending(Slow()))
    async with buffer:
        await asyncio.wait_for(buffer.flush(), timeout=PATIENCE_SECONDS)
        assert buffer.size > 0
        buffer.pending.get_nowait()


async def test_raw_keys_of_a_table_become_json_and_bytes_do_not(shop: faust.App) -> None:
    by_name: Any = shop.Table("by-name", key_type="raw", value_type=bytes, partitions=1)
    by_type: Any = shop.Table("by-type", key_type=bytes, value_type=bytes, partitions=1)
    assert (by_name.key_serializer, by_type.key_serializer) == ("json", "raw")


async def test_a_json_key_is_hashed_with_its_quotes(shop: faust.App) -> None:
    assert shop.serializers.dumps_key(None, "ada", serializer="json") == b'"ada"'
    assert shop.serializers.dumps_key(bytes, b"ada") == b"ada"


def test_the_data_directory_of_the_command_line_is_unknown_while_the_app_is_imported(tmp_path: Path) -> None:
    tmp_path.joinpath("shop.py").write_text(
        "import os, faust\n"
        "seen = os.environ.get('F_DATADIR')\n"
        "app = faust.App('shop', broker='kafka://127.0.0.1:1', datadir='configured')\n"
        "@app.command()\n"
        "async def where(self): print(seen, app.conf.datadir)\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "shop", "--datadir", "told", "where"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    assert told.stdout.split() == ["None", "configured"]


async def test_faust_serves_its_tables_to_the_whole_network_unless_told_not_to(shop: faust.App, tmp_path: Path) -> None:
    assert shop.conf.web_bind == "0.0.0.0"
    assert shop.conf.web_tables_enabled
    ours = create_app(Settings(_env_file=None, datadir=tmp_path)).conf
    assert ours.web_bind == "127.0.0.1"
    assert not any([ours.web_tables_enabled, ours.web_router_enabled, ours.web_graph_enabled])


async def test_faust_makes_several_records_one_batch_which_the_embedded_broker_counts_wrongly(tmp_path: Path) -> None:
    ours = create_app(Settings(_env_file=None, datadir=tmp_path, kafka_profile="tansu"))
    assert ours.conf.producer_max_batch_size == 1
