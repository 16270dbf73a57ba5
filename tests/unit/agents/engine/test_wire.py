"""Fetches are read and written as aiokafka does it, in fewer steps."""

from __future__ import annotations

from io import BytesIO

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v11, FetchResponse_v4, FetchResponse_v11

from agents.engine.wire import Rows

#: Throttled for 7 ms, no error, no session; one topic.
_HEAD = "00000007 0000 00000000 00000001"
#: Partition 3: no error, high water mark 9, stable up to 8, log from 2, one aborted transaction, no replica, 2 bytes.
_FULL = "00000003 0000 0000000000000009 0000000000000008 0000000000000002 00000001 {} ffffffff 00000002 cafe"
_ABORTED = "0000000000000005 0000000000000006"
#: Partition 4: error 6, nothing known, null for the transactions and for the records.
_EMPTY = "00000004 0006 ffffffffffffffff ffffffffffffffff ffffffffffffffff ffffffff ffffffff ffffffff"
_TOPIC = "0006 6275696c6473"


def sent(*parts: str) -> BytesIO:
    return BytesIO(bytes.fromhex("".join(parts)))


def test_a_fetch_has_what_the_broker_said_of_every_partition() -> None:
    response = FetchResponse_v11.decode(sent(_HEAD, _TOPIC, "00000002", _FULL.format(_ABORTED), _EMPTY))

    assert (response.throttle_time_ms, response.error_code, response.session_id) == (7, 0, 0)
    assert response.topics == [
        ("builds", [(3, 0, 9, 8, 2, [(5, 6)], -1, b"\xca\xfe"), (4, 6, -1, -1, -1, None, -1, None)])
    ]


def test_a_fetch_of_an_older_broker_is_read_as_well() -> None:
    partition = "00000003 0000 0000000000000009 0000000000000008 00000000 00000000"

    response = FetchResponse_v4.decode(sent("00000007 00000001", _TOPIC, "00000001", partition))

    assert response.topics == [("builds", [(3, 0, 9, 8, [], b"")])]


@pytest.mark.parametrize("missing", [1, 3, 6, 11, 30, 50])
def test_a_fetch_that_ends_too_soon_is_refused(missing: int) -> None:
    whole = sent(_HEAD, _TOPIC, "00000001", _FULL.format(_ABORTED)).getvalue()

    with pytest.raises(ValueError, match=r"too soon|underrun|convert value"):
        FetchResponse_v11.decode(BytesIO(whole[:-missing]))


def test_what_is_asked_for_is_written_as_kafka_reads_it() -> None:
    request = FetchRequest(500, 1, 1024, 1, [("builds", [(3, 9, 512), (4, 10, 512)])])

    assert (
        request.build(FetchRequest_v11).encode()
        == sent(
            "ffffffff 000001f4 00000001 00000400 01 00000000 ffffffff 00000001 0006 6275696c6473 00000002",
            "00000003 ffffffff 0000000000000009 ffffffffffffffff 00000200",
            "00000004 ffffffff 000000000000000a ffffffffffffffff 00000200",
            "00000000 0000",
        ).getvalue()
    )
    assert (
        request.build(FetchRequest_v4).encode()
        == sent(
            "ffffffff 000001f4 00000001 00000400 01 00000001 0006 6275696c6473 00000002",
            "00000003 0000000000000009 00000200",
            "00000004 000000000000000a 00000200",
        ).getvalue()
    )


def test_a_number_that_has_no_room_is_refused() -> None:
    request = FetchRequest(500, 1, 1024, 1, [("builds", [(3, 1 << 63, 512)])])

    with pytest.raises(ValueError, match="no room"):
        request.build(FetchRequest_v11).encode()


def test_an_array_that_is_null_stays_null() -> None:
    topics = FetchRequest_v11.SCHEMA.fields[FetchRequest_v11.SCHEMA.names.index("topics")]

    assert isinstance(topics, Rows)
    assert topics.encode(None).hex() == "ffffffff"
    assert topics.decode(sent("ffffffff")) is None
