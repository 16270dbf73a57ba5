"""Groups: what Kafka knows of a consumer group from outside it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    GroupIdNotFound,
    GroupLoadInProgressError,
    KafkaError,
    for_code,
)
from aiokafka.protocol.group import HeartbeatRequest

from tables.errors import Fatal

log = logging.getLogger(__name__)

#: How much longer a consumer that was killed is waited for than Kafka does, in seconds.
NOTICED_SECONDS: Final = 5.0
#: How long a cluster may take that has never had a group, until it has a place for one, in seconds.
COORDINATOR_SECONDS: Final = 10.0


class GroupDenied(Fatal):
    """A right to a consumer group is missing; the message says to which one."""


async def check_rights(client_options: Mapping[str, Any], groups: Collection[str]) -> None:
    """Whether this user may be a member of these groups: consumers are silent about it. Raises `GroupDenied`.

    A broker that does not tell now is asked by the consumers themselves.
    """
    for group in groups:
        try:
            async with asyncio.timeout(COORDINATOR_SECONDS):
                await _pretend(client_options, group)
        except GroupAuthorizationFailedError:
            raise GroupDenied(f"group {group}: the right to read in it is missing") from None
        except (KafkaError, OSError, TimeoutError) as error:
            log.info("whether the group %s may be joined is not known: %r", group, error)


async def _pretend(client_options: Mapping[str, Any], group: str) -> None:
    """Say something as a member that there is none of: Kafka looks at the right before it looks for the member."""
    async with _admin(client_options) as admin:
        while True:
            try:
                node = await admin.find_coordinator(group)
                break
            except CoordinatorNotAvailableError:
                await asyncio.sleep(0.2)
        client = admin._client  # noqa: SLF001 - the only way to send a request of one's own
        response = await client.send(node, HeartbeatRequest(group, 0, "nobody"))
    if for_code(response.error_code) is GroupAuthorizationFailedError:
        raise GroupAuthorizationFailedError(group)


async def remaining_members(client_options: Mapping[str, Any], group: str, session_seconds: float) -> int:
    """How many consumers are left when those that have just ended are gone: Kafka waits for their sessions."""
    deadline = time.monotonic() + session_seconds + NOTICED_SECONDS
    while (found := await members(client_options, group)) and time.monotonic() < deadline:  # noqa: ASYNC110 - only asking tells
        await asyncio.sleep(1)
    return found


async def members(client_options: Mapping[str, Any], group: str) -> int:
    """How many consumers the group has. Raises aiokafka's errors."""
    async with _admin(client_options) as admin:
        [described] = await admin.describe_consumer_groups([group])
    [(code, _group, _state, _protocol_type, _protocol, found, *_)] = described.groups
    if code and for_code(code) is not GroupIdNotFound:
        raise for_code(code)
    return len(found)


async def committed(
    client_options: Mapping[str, Any], group: str, topic: str, partitions: Sequence[int]
) -> Mapping[int, int]:
    """Where the group goes on; -1 where it has committed nothing. Raises aiokafka's errors."""
    places = [TopicPartition(topic, partition) for partition in partitions]
    async with _admin(client_options) as admin:
        found = await admin.list_consumer_group_offsets(group, partitions=places)
    if not found.keys() >= set(places):
        # aiokafka leaves them out while the group's coordinator loads.
        raise GroupLoadInProgressError(f"the offsets of {group} are not known now")
    return {place.partition: found[place].offset for place in places}


@asynccontextmanager
async def _admin(client_options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
